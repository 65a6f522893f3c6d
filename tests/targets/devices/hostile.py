"""Texts that somebody could put where a name, a path or a host belongs."""

from __future__ import annotations

HOSTILE = (
    "$(touch OWNED)", "`touch OWNED`", ";touch OWNED", "&&touch OWNED", "|touch OWNED", "\ntouch OWNED\n",
    "a;touch OWNED;", "a'$(touch OWNED)'", "'; touch OWNED; '", '"; touch OWNED; "', "a\\'; touch OWNED #", "a b",
    "-oProxyCommand=touch OWNED", "--help", "-", "--", "-rf", "../../etc/passwd", "/dev/null", "~root", "*", "?",
    "${IFS}touch${IFS}OWNED", "$HOME", "%n%s%x", "\x00", "\x1b[31mred", "\u202eemal", "é" * 300, "a" * 5000,
    ">OWNED", "<(touch OWNED)", "a\rb", "#", "!!", "{a,b}",
)  # fmt: skip
