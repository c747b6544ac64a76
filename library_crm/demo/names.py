"""The names of the demo town. All of them are made up from common given and family
names; nobody of this name is meant. Where a name is not written in Latin letters, its
spelling for an email address stands behind the bar."""

# What a town with a harbour and a college sounds like: (weight, given, family names).
CULTURES = [
    (
        30,
        "Abigail Alistair Beatrix Bridget Caleb Cora Declan Edith Elliot Fergus Flora "
        "Gwen Hattie Hugh Imogen Jasper Kitty Leland Mabel Marcus Nell Orla Owen "
        "Phoebe Quentin Rhona Rufus Sybil Tobias Ursula Wesley Winifred",
        "Abernathy Ashdown Birchall Calloway Crowther Dunmore Ellery Fairweather "
        "Gathercole Hollis Kittredge Lockwood Merriweather Netherby O'Hanlon O'Keeffe "
        "Pemberton Quayle Ravenhill Stillwell Thackeray Underhill Wetherell Yarrow",
    ),
    (
        18,
        "Alejandra Andrés Beatriz Belén Camilo Esperanza Fermín Graciela Héctor "
        "Ignacio Itzel Joaquín Lucía Maribel Núria Óscar Paloma Ramón Rocío Ximena",
        "Arriaga Bañuelos Cárdenas Echeverría Fuentes Galván Ibáñez Jaramillo "
        "Montañez Núñez Ordóñez Peñaloza Quiñones Sepúlveda Treviño Zúñiga",
    ),
    (
        8,
        "Astrid Björn Dagmar Elke Gunnar Halina Inge Jörg Kasia Łukasz Małgorzata "
        "Øyvind Rasmus Solveig Tadeusz Wojciech",
        "Bergström Dąbrowska Ekeland Grünwald Hallström Jóhannsdóttir Kowalczyk "
        "Lindqvist Müller-Brandt Østergaard Sørensen Wiśniewska",
    ),
    (
        7,
        "Aarav Anjali Devika Farhan Harpreet Ishaan Kavya Meera Nikhil Priya Rohan "
        "Sanjana",
        "Bhattacharya Chaudhary Deshmukh Iyengar Kulkarni Mukherjee Rajagopalan "
        "Sandhu Thiruvengadam Vaidya",
    ),
    (
        7,
        "Anh Bảo Diệu Hương Khánh Linh Minh Ngọc Phượng Quân Thảo Vinh",
        "Bùi Đặng Hoàng Lê Ngô Nguyễn Phạm Trần Trương Võ",
    ),
    (
        6,
        "Abdirahman Asha Bisrat Chidinma Emeka Fatoumata Hodan Ifeoma Kwabena "
        "Makeda Ngozi Olumide Selam Yaw",
        "Abdullahi Adeyemi Asante Bekele Diallo Eze Gebremariam Mensah Nwachukwu "
        "Okonkwo Osei Warsame",
    ),
    (
        5,
        "Ailani Anela Kai Keoni Leilani Makoa Moana Nalani Tavita Sina",
        "Fonoti Kahananui Kealoha Leota Mahoe Nakamura Tuimavave Yoshikawa",
    ),
    (
        4,
        "Ana-Luísa Caetano Davi Heloísa Inácio Júlia Rafaela Thaís",
        "Assunção Brandão Conceição Figueiró Guimarães Magalhães",
    ),
    (
        3,
        "李娜|lina 建国|jianguo 秀兰|xiulan 子涵|zihan 雨桐|yutong 志强|zhiqiang",
        "欧阳|ouyang 诸葛|zhuge 慕容|murong 司徒|situ",
    ),
    (
        4,
        "نور|nour ليلى|layla يوسف|yousef مريم|maryam طارق|tareq هدى|huda سامر|samer",
        "الهاشمي|alhashimi الخطيب|alkhatib المصري|almasri حداد|haddad",
    ),
    (
        3,
        "Олена|olena Тарас|taras Ганна|hanna Богдан|bohdan Софія|sofiia Юрій|yurii",
        "Гриценко|hrytsenko Ковальчук|kovalchuk Шевчук|shevchuk Бондар|bondar",
    ),
    (
        2,
        "יעל|yael נועם|noam תמר|tamar איתן|eitan שירה|shira",
        "בן־שלום|benshalom אלמוג|almog רוזנברג|rosenberg",
    ),
    (
        2,
        "Ελένη|eleni Νίκος|nikos Δήμητρα|dimitra Στέλιος|stelios",
        "Παπαδάκης|papadakis Βλάχος|vlachos Καραγιάννης|karagiannis",
    ),
    (
        2,
        "अनन्या|ananya देवांश|devansh मीरा|meera राघव|raghav",
        "जोशी|joshi पाटिल|patil त्रिवेदी|trivedi",
    ),
]

# What breaks screens that were drawn for short names.
REMARKABLE = [
    "María del Carmen Guadalupe Fernández de Villarrubia y Etxeberria-Goikoetxeandia"
    "|maria.fernandez",
    "Anne-Sophie Okonkwo-Lindqvist|annesophie",
    "Caoimhe Ó Súilleabháin-D'Arcy|caoimhe",
    "Bo Xu|boxu",
]

INSTITUTIONS = [
    "Riverbend Elementary School",
    "Oak Hill Middle School",
    "Little Acorns Preschool",
    "Wharf Lane Care Home",
    "Westgate Community Centre",
    "Ferry Street Refugee Welcome",
    "Riverbend Historical Society",
    "Harbor Maritime Association",
    "Second Chance Adult School",
]

STREETS = [
    "Alder Street",
    "Boathouse Lane",
    "Cannery Row West",
    "Dogwood Drive",
    "Elm Court",
    "Foundry Street",
    "Heron Way",
    "Juniper Terrace",
    "Lockkeeper Lane",
    "Meadowlark Road",
    "Old Mill Road",
    "Quarry Hill",
    "Salmonberry Street",
    "Towpath",
    "Willow Bend",
]
