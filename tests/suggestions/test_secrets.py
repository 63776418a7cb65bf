"""What counts as a secret, and what does not."""

import random
import string

import pytest

from charrnn.suggestions.recency_cache import RecencyCache
from charrnn.suggestions.secrets import public_words
from charrnn.text.words import WORD

SECRETS = """\
password: swordfish
my password is correct swordfish
my passwords swordfish and swordfish
the password was swordfish
The password for the wifi is swordfish
Passwd swordfish
passwd=swordfish
pw swordfish
pw: swordfish
pwd is swordfish
username anna password swordfish
user: swordfish
passphrase correct swordfish staple
my passcode: swordfish
PIN = swordfish swordfish
the pin for the door is swordfish
the API key is swordfish
private key swordfish
access token swordfish
Authorization: Bearer swordfish
token swordfish
token=swordfish
token: swordfish
seed phrase: swordfish legal winner thank
my recovery phrase is swordfish legal winner
recovery words swordfish legal
creds swordfish
credentials: anna and swordfish
login: swordfish
the login for the router is swordfish
the code to the gate is swordfish
secret: swordfish
the secret is swordfish
licence key swordfish
iban swordfish
mysql -u root -pswordfish
curl -u anna:swordfish example
anna:swordfish
ftp anna:swordfish@example.org
mail me at swordfish@example.org
https://example.org/swordfish
www.swordfish.org
C:\\Users\\swordfish
/home/swordfish/keys
KEY_swordfish
swordfish2
mot de passe : swordfish
le mot de passe du wifi est swordfish
la contraseña es swordfish
mi contraseña swordfish
a senha é swordfish
Das Passwort lautet swordfish
Mein Kennwort ist swordfish
WLAN-Passwort swordfish
het wachtwoord is swordfish
пароль swordfish
Пароль от почты swordfish
密码是 swordfish
密码是swordfish
パスワードは swordfish
비밀번호 swordfish
hasło: swordfish
heslo swordfish
lösenordet är swordfish
mitt passord er swordfish
adgangskode swordfish
salasana on swordfish
jelszó swordfish
şifre swordfish
wifi şifresi swordfish
parola d'ordine swordfish
κωδικός swordfish
סיסמה swordfish
كلمة السر swordfish
पासवर्ड swordfish
mật khẩu là swordfish
kata sandi swordfish
My password is:|swordfish
the wifi password||swordfish
PIN:|swordfish"""
RANDOM = ["xqzvkwpl", "hjqwoxzy", "qwrtzpsdf", "mzkxjvbq", "wJalrXUtnFEMI", "bcdfghjklm"]
HARMLESS = """\
the secret garden
pass the salt
a token of love
NATO
She passed the exam.
They passed a law.
Please pass it on to anna
the pin on the map
pins and needles
He has a key role.
The key turned in the lock.
key lime pie
the code of honour
We seed the lawn in spring.
the user manual
Users were happy.
She dropped a pin.
tokens of gratitude
the bearer of bad news
bearers of gifts
a secret between friends
secretly pleased
the secretary left
passing by
a passport photo
passage of time
compass and map
passenger trains
by the wayside
The boat was moored.
He was out on parole.
the clavicle
a keyboard and a mouse
the login screen froze
We logged in early.
spinning wheels
opinions differ
the pinnacle of taste
pine and oak
the hassle of moving
a password
Change the password.
I forgot the passwords.
naïve café owners
McCoy met MacDonald
the well-known fox
don't worry
state-of-the-art tools
O'Brien and Sons
a mother-in-law
twelfth night
rhythm and rhyme
strengths and lengths
the lymph nodes
crypts and tombs
gypsy myths
Kirchgänger singen
Schmetterlinge fliegen
przyjaciele i wrogowie
Łódź leży w Polsce
les œufs frais
el niño pequeño
straatnaambord
kaksitoista
Привет, мир
吾輩は猫である
नमस्ते दुनिया
مرحبا بالعالم"""


def learned(text: str) -> list[str]:
    """Return the words of a text that are not secrets."""
    return [word[0] for word in public_words(text)]


@pytest.mark.parametrize("text", SECRETS.split("\n"))
def test_secrets(text: str) -> None:
    """What follows a word for a password, on its line or the next one, is a secret."""
    text = text.replace("|", "\n")
    assert not [word for word in learned(text) if "swordfish" in word.lower()]


@pytest.mark.parametrize("text", RANDOM)
def test_random_strings(text: str) -> None:
    """A random string is a secret."""
    assert not learned(f"Take {text} and go")[1:-2]


def test_random_letters() -> None:
    """Few strings of ten random letters pass for a word."""
    rng = random.Random(0)
    strings = ["".join(rng.choices(string.ascii_lowercase, k=10)) for _ in range(500)]
    assert sum(bool(learned(text)) for text in strings) < 125


@pytest.mark.parametrize("text", HARMLESS.split("\n"))
def test_harmless(text: str) -> None:
    """Words that only resemble announcements of secrets are learned."""
    assert learned(text) == WORD.findall(text)


def test_after_it() -> None:
    """What follows the sentence, or the next line, is not a secret."""
    text = "The password is swordfish. See you\nsoon\n\nAnna"
    assert learned(text) == ["The", "password", "See", "you", "soon", "Anna"]
    assert learned("password:\nswordfish\nSee you")[-2:] == ["See", "you"]


def test_within_a_text() -> None:
    """A secret is not offered again later in the same text."""
    recent = RecencyCache()
    recent.read("The password is swordfish. The swallows came. ")
    assert recent.starting_with("sw", 3) == ["swallows"]
