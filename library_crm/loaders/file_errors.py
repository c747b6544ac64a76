"""What is wrong with a file as a whole, in words that help to mend it."""

from ..formats.counter import ReportError


def describe_file_error(env, error):
    """
    :param env: whose language it is said in
    :param formats.table.FileError error: what the format found
    :rtype: str
    """
    names = {"line": error.line, "found": error.found, "expected": error.expected}
    if isinstance(error, ReportError):
        return _describe_report_error(env, error, names)
    texts = {
        "empty": lambda: env._(
            "The file is empty. Its first line should name the columns: %(expected)s.",
            **{**names, "expected": error.expected or "—"},
        ),
        "encoding": lambda: env._(
            "Line %(line)s is not written in %(expected)s: “%(found)s”. Export the "
            "file again and choose UTF-8.",
            **names,
        ),
        "header": lambda: env._(
            "The first line should name the columns, among them %(expected)s. It "
            "says: “%(found)s”. Is it the file of another source?",
            **names,
        ),
        "delimiter": lambda: env._(
            "Line %(line)s: the columns are parted by “%(found)s”; the source says "
            "“%(expected)s”. Mend the source, or export the file again.",
            **names,
        ),
        "missing_columns": lambda: env._(
            "The file has no column %(expected)s. It has %(found)s.", **names
        ),
        "repeated_column": lambda: env._(
            "The column %(found)s stands twice in the first line.", **names
        ),
        "workbook": lambda: env._(
            "The workbook can not be read (%(found)s). Expected is %(expected)s: save "
            "it again as such, without a password.",
            **names,
        ),
        "too_big": lambda: env._(
            "The file is bigger than it may be: %(found)s, at most %(expected)s. Save "
            "the sheet as CSV, or send it in parts.",
            **names,
        ),
        "sheet": lambda: env._(
            "The workbook has no sheet “%(expected)s”. It has: %(found)s.", **names
        ),
        "json": lambda: env._("Line %(line)s is not JSON: %(found)s.", **names),
        "nesting": lambda: env._(
            "The JSON is nested too deeply; expected is %(expected)s.", **names
        ),
        "shape": lambda: env._(
            "The JSON is %(found)s; expected is %(expected)s.", **names
        ),
        "too_many_rows": lambda: env._(
            "%(found)s rows at once; at most %(expected)s are taken. Send them in "
            "parts.",
            **names,
        ),
    }
    return texts[error.reason]()


def _describe_report_error(env, error, names):
    names["place"] = (
        ", ".join(
            filter(
                None, (error.line and env._("line %s", error.line), error.place or None)
            )
        )
        or "JSON"
    )
    names["found"] = error.found or "—"
    texts = {
        "empty": lambda: env._("The report is empty."),
        "not_counter": lambda: env._(
            "This is no COUNTER report (%(found)s). Expected is %(expected)s.", **names
        ),
        "release": lambda: env._(
            "The report is of COUNTER release %(found)s; only %(expected)s can be "
            "read. Ask the platform for that release.",
            **names,
        ),
        "report_id": lambda: env._(
            "The report %(found)s is not known. These can be read: %(expected)s.",
            **names,
        ),
        "refused": lambda: env._(
            "The platform gives no report, but says: %(found)s.", **names
        ),
        "no_data": lambda: env._(
            "The platform has no figures for these months: %(found)s.", **names
        ),
        "no_months": lambda: env._(
            "The report has totals only. Ask for it by month (Granularity: Month)."
        ),
        "components": lambda: env._(
            "The report counts components of items. Ask for it without component "
            "details."
        ),
        "nesting": lambda: env._("%(place)s: the JSON is nested too deeply.", **names),
        "not_json": lambda: env._(
            "%(place)s: the file breaks off, or is not JSON. Fetch it again.", **names
        ),
        "repeated": lambda: env._("%(place)s: %(found)s stands twice.", **names),
        "outside_period": lambda: env._(
            "%(place)s: %(found)s is not in the period of the report, %(expected)s.",
            **names,
        ),
        "open_quote": lambda: env._(
            '%(place)s: a quote (") is opened and not closed.', **names
        ),
    }
    return texts.get(
        error.reason,
        lambda: env._(
            "%(place)s: found %(found)s, expected %(expected)s. None of the figures is "
            "taken, because their sum would be wrong.",
            **names,
        ),
    )()
