"""Is whatever calls itself a mail read in bounded work, or refused with file and line?"""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace.errors import PolicyError
from swaptrace.ktree.diff import MOST_LINES, patches_of
from swaptrace.ktree.mails import MOST_MAILS
from tests.effort import examples
from tests.ktree.making import diff, mail

DIFF = diff("a\n", "b\n", "mm/memory.c")

PART = "Content-Type: text/plain\n\n"

ENVELOPE = "From 01234567 Mon Sep 17 00:00:00 2001\n"


def subjects(text: str) -> list[str]:
    return [patch.subject for patch in patches_of("a.mbox", text.encode()).patches]


@pytest.mark.parametrize(
    "subject",
    [
        "=?utf-8?b?a?=",
        "=?nobody?q?a?=",
        "=?utf-8?q?=FF?=",
        "[" * 20_000,
        "[1/" * 9_000,
        "=?" * 9_000,
    ],
    ids=["base64", "charset", "byte", "brackets", "numbers", "words"],
)
def test_a_subject_can_be_anything(subject: str) -> None:
    """Is the patch of the mail found, and the subject of bounded length?"""
    (found,) = subjects(mail(subject, DIFF))
    assert 0 < len(found) <= 1_000


@pytest.mark.parametrize("digits", [10, 5_000])
def test_numbers_have_few_digits(digits: int) -> None:
    """Is a hunk with an enormous number an error with its line, and a mail one as any other?"""
    many = "1" * digits
    with pytest.raises(PolicyError, match=r"^a\.mbox:3: '@@ -1.*' is no hunk"):
        subjects(f"--- a/mm/memory.c\n+++ b/mm/memory.c\n@@ -{many} +1 @@\n-a\n+b\n")
    assert subjects(mail(f"[PATCH {many}/{many}] one", DIFF) + mail("[PATCH 1/2] two", DIFF))


@pytest.mark.parametrize(
    "text", ["From x 2024", "From x 2024\r", "From: a", "Subject: ", "From: a\n\n"]
)
def test_a_mail_may_have_no_body(text: str) -> None:
    """Is there no patch in it, without an exception?"""
    assert subjects(text) == []


def test_a_line_is_where_the_file_shows_it() -> None:
    """Of each mail of a mailbox, and of the parts of one?"""
    one, two = mail("[PATCH 1/2] one", DIFF), mail("[PATCH 2/2] two", DIFF)
    parted = (
        ENVELOPE + 'Subject: [PATCH] three\nContent-Type: multipart/mixed;\n boundary="=-a b"\n\n'
        f"--=-a b\n{PART}Hello\n--=-a b\n{PART}{DIFF}--=-a b--\nend\n"
    )
    lines = (one + two + parted).split("\n")
    found = patches_of("a.mbox", (one + two + parted).encode()).patches
    hunks = [hunk for patch in found for file in patch.files for hunk in file.hunks]
    assert [lines[hunk.line - 1] for hunk in hunks] == [hunks[0].header] * 3
    assert len({hunk.line for hunk in hunks}) == 3


def test_parts_are_nested_a_few_times_and_no_more() -> None:
    """Is a bomb of parts within parts an error with its line?"""

    def nested(depth: int) -> str:
        if depth == 0:
            return PART + DIFF
        kind = f"Content-Type: multipart/mixed; boundary=b{depth}\n\n"
        return f"{kind}--b{depth}\n{nested(depth - 1)}--b{depth}--\n"

    assert subjects("From: a\n" + nested(3)) == [""]
    with pytest.raises(PolicyError, match=r"^a\.mbox:\d+: parts of mails nested"):
        subjects("From: a\n" + nested(900))


def test_a_hunk_has_as_many_lines_as_it_says() -> None:
    """Is one that was cut off an error, rather than less of a change?"""
    with pytest.raises(PolicyError, match=r"^a\.mbox:3: '@@ -1,3 \+1,3 @@' has other lines"):
        subjects("--- a/mm/memory.c\n+++ b/mm/memory.c\n@@ -1,3 +1,3 @@\n-a\n+b\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("From: a\nContent-Transfer-Encoding: base64\n\nabcde\n", r"a\.mbox:4: base64"),
        ("From: a\nContent-Type: multipart/mixed\n\n", r"a\.mbox:4: a mail of several parts"),
        (f"From: a\nX: {'y' * 70_000}\n\n", r"a\.mbox:1: the header of this mail"),
        (ENVELOPE + f"From: a\n{'y: z' * 70_000}\n\n", r"a\.mbox:2: the header of this mail"),
    ],
)
def test_a_mail_that_cannot_be_read_is_an_error_with_its_line(text: str, expected: str) -> None:
    """Rather than one without a patch?"""
    with pytest.raises(PolicyError, match=expected):
        subjects(text)


@given(
    st.lists(
        st.sampled_from(
            [
                "From a 2024\n",
                "From: a\n",
                "Subject: ",
                "[1/2] ",
                "Content-Type: multipart/mixed; ",
                "boundary*0*=",
                "boundary=a",
                "--a\n",
                "--a--\n",
                "Content-Transfer-Encoding: ",
                "base64\n",
                "quoted-printable\n",
                "\n",
                "=",
                "=?utf-8?b?",
                "?=",
                "\r\n",
                " ",
                DIFF,
                "\0",
                "@@ -1 +1 @@\n",
            ]
        ),
        max_size=30,
    )
)
@settings(max_examples=examples(150), deadline=None)
def test_whatever_looks_like_mail_is_read_or_refused(pieces: list[str]) -> None:
    """Is there no other exception than that of a policy?"""
    said = "a.mbox:"
    try:
        patches_of("a.mbox", "".join(pieces).encode())
    except PolicyError as error:
        said = str(error)
    assert said.startswith("a.mbox:")


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/x-patch"])
@pytest.mark.parametrize("encoding", ["7bit", "base64"])
def test_an_attachment_of_bytes_is_read(kind: str, encoding: str) -> None:
    """Is a patch found that a program for mail did not take for text?"""
    content = b64encode(DIFF.encode()).decode() if encoding == "base64" else DIFF
    part = f"Content-Type: {kind}\nContent-Transfer-Encoding: {encoding}\n\n{content}\n"
    text = (
        "From: a@b\nSubject: one\nContent-Type: multipart/mixed; boundary=x\n\n"
        f"--x\n{PART}see the attachment\n--x\n{part}--x--\n"
    )
    assert subjects(text) == ["one"]


def test_more_lines_or_mails_than_a_series_has_are_refused() -> None:
    """Before anything is done with them, also where they are encoded?"""
    with pytest.raises(PolicyError, match=r"^a\.mbox: more than 500,000 lines are no patch's"):
        subjects(mail("one", DIFF) + "+\n" * MOST_LINES)
    encoded = b64encode(b"+\n" * (MOST_LINES + 1)).decode()
    with pytest.raises(PolicyError, match="more than 500,000 lines"):
        subjects(f"From: a@b\nContent-Transfer-Encoding: base64\n\n{encoded}\n")
    with pytest.raises(PolicyError, match=r":10001: a mailbox of more than 10,000 mails"):
        subjects(ENVELOPE * (MOST_MAILS + 1))
