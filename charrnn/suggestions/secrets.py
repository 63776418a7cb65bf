"""Detects words that look like secrets, such as passwords, so that they are never learned.

In doubt a word counts as a secret: not learning a word costs little.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

from charrnn.text.words import WORD

MAX_WORD = 24  # maximum length of a word in characters; a longer one may be a key (not tuned)
LINE = 400  # characters searched before a position in a text (not tuned)
# Matches white-space-separated chunks that are not words: addresses, paths, anything with a digit,
# command-line options such as -ptiger, and name-value pairs such as anna:tiger.
SECRET_CHUNK = re.compile(r"[@\d\\/_=]|://|www\.|^-+\w|\w:\w", re.IGNORECASE)
# Matches words for a password, after which the secret may follow directly. In scripts without
# spaces, and in languages with compounds (German, Nordic), they may be part of a longer word.
ALONE = re.compile(
    r"\b(?:pass(?:word|wd|phrase|code|key)s?|pwd?|passwort\w*|login[ -]?data|creds?|credentials?"
    r"|(?:api|access|private|secret|recovery|licen[cs]e)[ -]?(?:key|code|token)s?"
    r"|(?:seed|recovery|mnemonic)[ -]?(?:phrase|words?)|bearer(?! of)|tokens?(?! of)"
    r"|iban|cvv|cvc|ssn|otp|totp|2fa"
    r"|mots? de passe|mdp|contrase[nñ]as?|clave de acceso|senhas?|palavra-passe|parola d.ordine"
    r"|wachtwoord\w*|has[lł]o|has[lł]a|heslo|hesla|jelsz[oó]\w*|parol[aăo]|lozink[aeu]"
    r"|[sş]ifre\w*|salasana\w*|mật khẩu|kata sandi|slaptažod\w*|geslo)\b"
    r"|kennw[oö]rt|l[oö]senord|passord|adgangskode|парол[ьяю]|пин-?код|κωδικ[οό][ςύ]|סיסמ[אה]"
    r"|كلمة (?:السر|المرور)|पासवर्ड|รหัสผ่าน|密码|密碼|口令|パスワード|暗証番号|비밀번호|-----BEGIN",
    re.IGNORECASE,
)
# Matches words that mean other things too, so they count only with a colon, "=" or "is" after them.
SAID = re.compile(
    r"(?:\b(?:pin|secret|key|login|log-in|user(?:name)?|code|seed|clave|pincode)\b"
    r"(?:\s+(?:for|of|to|on|at|de|du|für|van|для)\b(?:\s+\w+){1,4}?)?)"
    r"\s*(?:[:=]|\b(?:is|was|are|were|ist|war|est|es|era|é|è|jest|är|er|это)\b)",
    re.IGNORECASE,
)
# Matches the end of a sentence: a secret is taken to end there.
SENTENCE_ENDS = re.compile(r"[.!?](?=\s)")
# Matches the rest of a line after an announcement if the secret is on the next line.
OPEN_ENDED = re.compile(r"[\s:=-]*(?:\b(?:is|was|are|were|ist|war|est|es|é|è)\b)?[\s:=]*\Z")
# Each Latin letter, followed by the letters that hardly ever follow it in any of 20 languages.
SELDOM = (
    "bcdfghknpqwxz cbdfgjmnpvwx dbkpqx fbcdhjkmnpqvwxz gcfjkpqvwxz hcghjkpqvxz ihjw "
    "jbcfghjklnpqrtvwxyz kbcgjpqxz ljqxz mcdghjkqvwxz nz oq pcdgjknqvwxz "
    "qabcdefghijklmnopqrstvwxyz rqx sjx tbdjqvxz ujquw vbcdfghjklmnpqtvwxz wbcgjmpquvwxyz "
    "xbdfgjklmnqrsvwxyz yghjkqxyz zbcfghjmnpqrstvwx "
)
FOLLOWS_SELDOM = {letters[0]: letters[1:] for letters in SELDOM.split()}
MIN_LETTERS = 6  # a word with fewer letters is never random: it may be an abbreviation (not tuned)


def public_words(text: str, start: int = 0) -> Iterator[re.Match[str]]:
    """Yield the words of a text, from a position on, that do not look like secrets."""
    first = max(text.rfind("\n", 0, start) + 1, start - LINE)
    announced = _announces_secret(text[max(0, first - LINE) : first].rstrip().rpartition("\n")[2])
    for line in re.finditer(r"[^\n]+", text[first:]):
        if not line[0].strip():
            continue
        spans = [(0, len(line[0]))] if announced else _secret_spans(line[0])
        announced = _announces_secret(line[0])
        begin = first + line.start()
        for chunk in re.finditer(r"\S+", line[0]):
            if SECRET_CHUNK.search(chunk[0]):
                continue
            for word in WORD.finditer(text, begin + chunk.start(), begin + chunk.end()):
                here = word.start() - begin
                while spans and spans[0][1] <= here:
                    del spans[0]
                secret = len(word[0]) > MAX_WORD or _is_random(word[0])
                if word.start() >= start and not secret and not (spans and spans[0][0] <= here):
                    yield word


def _announcements(line: str) -> list[int]:
    """Return the ends of the phrases that announce a secret, in order."""
    return sorted(match.end() for some in (ALONE, SAID) for match in some.finditer(line))


def _secret_spans(line: str) -> list[tuple[int, int]]:
    """Return the spans of a line that may hold secrets: each to the end of its sentence."""
    spans = []
    for start in _announcements(line):
        end = SENTENCE_ENDS.search(line, start)
        spans.append((start, end.end() if end else len(line)))
    return spans


def _announces_secret(line: str) -> bool:
    """Return whether a line ends with an announcement, so the secret is on the next line."""
    announcements = _announcements(line)
    return bool(announcements and OPEN_ENDED.match(line[announcements[-1] :]))


def _is_random(word: str) -> bool:
    """Return whether a word looks like random letters."""
    if len(re.findall(r"[a-z][A-Z]", word)) > 1:  # McCoy and NATO are not random
        return True
    plain = unicodedata.normalize("NFD", word.lower())
    letters = [c for c in plain if c.isalpha()]
    if not all("a" <= c <= "z" for c in letters) or len(letters) < MIN_LETTERS:
        return False
    seldom = sum(b in FOLLOWS_SELDOM.get(a, "") for a, b in pairwise(letters))
    vowels = sum(c in "aeiouy" for c in letters)
    return seldom > 1 or seldom * len(letters) > 4 * vowels
