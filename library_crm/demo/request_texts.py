"""What people ask the demo library for: (kind, service, who asks, subject).

Who asks is the profile of a patron or how patrons come and go, or the name of somebody
who is no patron yet; "duplicate" is an enquiry of somebody who already has a card.
"""

REQUESTS = [
    # Joining: most of them are no patrons yet.
    (
        "joining",
        None,
        "Ottoline Varga",
        "Card for a family of five that has just moved here",
    ),
    ("joining", None, "Bashir Qassemi", "May I join without a permanent address?"),
    (
        "joining",
        "ebook",
        "Philippa Nordahl",
        "Digital card for my mother, who is housebound",
    ),
    (
        "joining",
        None,
        "Teodoro Espinal",
        "Application form filled in at the street fair",
    ),
    ("joining", None, "Oluwaseun Adeleke", "Student card for the spring term"),
    ("joining", None, "Marguerite Duvalier", "Non-resident card: what does it cost?"),
    ("joining", None, "Hiroto Maeshima", "Card for the six weeks of our stay"),
    (
        "joining",
        None,
        "Annika Brandvold",
        "Left her details at the harbour festival stand",
    ),
    (
        "joining",
        "programme",
        "Renata Kubiak",
        "Wants to join with her story-time group",
    ),
    ("joining", None, "Cyprian Oduya", "Teacher card for the new school"),
    ("joining", None, "duplicate", "Wants a card; thinks there was one years ago"),
    ("joining", None, "child", "Lost the card, not sure whether still a member"),
    # Renewal
    ("renewal", None, "senior", "Please renew my card, I can not come in this month"),
    ("renewal", None, "adult", "Card ended while we were abroad"),
    ("renewal", None, "student", "Renew for the resit period"),
    ("renewal", None, "adult", "Cards of both children, please"),
    # Reference
    (
        "reference",
        "reference",
        "senior",
        "Where do I find the town plans of the old harbour?",
    ),
    (
        "reference",
        "reference",
        "adult",
        "Which form do I need to start a food business?",
    ),
    (
        "reference",
        "reference",
        "student",
        "Census figures by neighbourhood, back to 1990",
    ),
    (
        "reference",
        "eresource",
        "adult",
        "Newspaper archive asks for a password at home",
    ),
    ("reference", "ill", "faculty", "Can this be borrowed from another library?"),
    (
        "reference",
        "reference",
        "institution",
        "Local flood records for a school project",
    ),
    ("reference", "ebook", "senior", "The e-reader does not sync after the update"),
    # Consultation
    (
        "consultation",
        "consultation",
        "student",
        "Literature search for a nursing thesis",
    ),
    ("consultation", "consultation", "faculty", "Data management plan, due next month"),
    (
        "consultation",
        "consultation",
        "student",
        "Citing correctly: one hour, two of us",
    ),
    ("consultation", "consultation", "senior", "Tracing grandparents who came by ship"),
    (
        "consultation",
        "consultation",
        "adult",
        "Writing an application after years at home",
    ),
    (
        "consultation",
        "consultation",
        "faculty",
        "Where to publish open access without a fee",
    ),
    # Suggestion
    ("suggestion", "room", "student", "Let us book study rooms on Sunday evenings"),
    ("suggestion", "programme", "adult", "A repair café once a month"),
    ("suggestion", None, "adult", "Longer hours at Oak Hill on one evening"),
    ("suggestion", "printing", "young", "Paying for prints by phone"),
    ("suggestion", "programme", "senior", "Tablet course in small groups"),
    ("suggestion", None, "adult", "A bench and shade at the bookmobile stop"),
    ("suggestion", "inhouse", "senior", "Newspapers in large print"),
    # Complaint
    ("complaint", None, "adult", "The lift at Harbor has been out for two weeks"),
    ("complaint", "computer", "young", "All computers taken by one class"),
    ("complaint", None, "senior", "Was told two different things about the fee"),
    ("complaint", "room", "student", "Booked room was in use when we came"),
    ("complaint", "wifi", "student", "Wi-fi drops on the second floor"),
    ("complaint", None, "reader", "Return slot was locked on Saturday"),
    ("complaint", None, "adult", "Reminder came three days after the due date"),
    # Outreach
    ("outreach", "programme", "institution", "Class visits for all first grades"),
    ("outreach", "loan", "institution", "Deposit collection for the residents"),
    ("outreach", "programme", "institution", "Joint exhibition about the ferry"),
    ("outreach", None, "Gwendolyn Achebe-Stone", "Welcome bags for new arrivals"),
    (
        "outreach",
        "room",
        "Harbor Chamber of Trade",
        "Information evening for start-ups",
    ),
    ("outreach", "programme", "Riverbend Food Bank", "Reading corner at the food bank"),
    # Win back: those who stay away.
    ("win_back", None, "gone", "No use for a year, was here every week"),
    ("win_back", None, "gone", "Card ended, family still lives here"),
    ("win_back", None, "gone", "Stopped coming after the branch closed for works"),
    ("win_back", "ebook", "gone", "Moved to the hills: show the digital offer"),
    ("win_back", None, "gone", "Left because of the fee, may be free now"),
    ("win_back", None, "drifting", "Comes less and less since summer"),
    ("win_back", "programme", "drifting", "Story-time family that no longer comes"),
    ("win_back", None, "gone", "Finished college and stayed in town"),
    ("win_back", None, "gone", "Asked to be called after the holidays"),
    ("win_back", None, "drifting", "Complained once, not seen since"),
]

# What patrons ask for of their own data: (kind, in their words).
RIGHTS = [
    ("correction", "My first name has an accent, and the flat is number 12."),
    ("erasure", "We are moving away. Please forget me, and thank you for everything."),
]

# What staff note on a request, and on a patron.
REQUEST_NOTES = [
    "Called, will come by on Thursday afternoon.",
    "Sent the form by mail and put a copy at the desk.",
    "Asked the colleagues at Campus, answer by the end of the week.",
    "Prefers to be called after five.",
    "Booked an hour; the room is reserved.",
    "Needs a translator for the first visit.",
    "Passed on to the building manager.",
]
PATRON_NOTES = [
    "Helps at the seed library every other Saturday.",
    "Would like to be told when the conversation circle begins again.",
    "Home delivery from next month on.",
    "Uses the hearing loop, please offer the front row.",
    "Card handed to a neighbour, with a note of the patron.",
    "Speaks little English yet; the daughter interprets.",
]
