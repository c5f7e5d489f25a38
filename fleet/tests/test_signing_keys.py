"""Keys as files and behind commands: what opens, what is refused, and that no secret stands in an error."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from fleet.errors import (
    FleetError,
    NotAllowedError,
    NotFoundError,
    TimedOutError,
    UsageError,
    VerificationError,
)
from fleet.signing import PublicKey, command_signer, load_public, make, open_signer, pem_signer
from fleet.signing.signers import holds
from fleet.tests.signing_rig import key, public

SECRET = b"correct horse battery"
DATA = b"to be signed"


def private() -> Ed25519PrivateKey:
    return key("build")._key


def kept(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


# ---- In a file


def test_an_encrypted_key_signs(tmp_path: Path) -> None:
    path = kept(tmp_path / "a.pem", make.private_pem(private(), SECRET), 0o644)
    signer = pem_signer(path, SECRET)
    assert holds(key("build").public, DATA, signer.sign(DATA))
    assert (signer.public, signer.note) == (key("build").public, "")


@pytest.mark.parametrize("rounds", [1, 127, 128, 255, 256, 65535, 65536, make.ROUNDS])
def test_what_we_encrypt_is_read_with_any_number_of_rounds(tmp_path: Path, rounds: int) -> None:
    path = kept(tmp_path / "a.pem", make.private_pem(private(), SECRET, rounds))
    assert pem_signer(path, SECRET).public == key("build").public


def test_what_others_encrypted_is_read(tmp_path: Path) -> None:
    form = BestAvailableEncryption(SECRET)
    path = kept(tmp_path / "a.pem", private().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, form))
    assert pem_signer(path, SECRET).public == key("build").public


def test_openssl_reads_what_we_encrypt(tmp_path: Path) -> None:
    path = kept(tmp_path / "a.pem", make.private_pem(private(), SECRET))
    command = ["openssl", "pkey", "-in", str(path), "-passin", f"pass:{SECRET.decode()}", "-pubout"]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    assert load_public(kept(tmp_path / "a.pub", done.stdout)).public == key("build").public


def test_a_key_that_is_not_encrypted_signs_with_a_note(tmp_path: Path) -> None:
    signer = pem_signer(kept(tmp_path / "a.pem", make.private_pem(private())))
    assert holds(key("build").public, DATA, signer.sign(DATA))
    assert "not encrypted" in signer.note


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(NotAllowedError, match="others may read it"):
        pem_signer(kept(tmp_path / "a.pem", make.private_pem(private()), mode))


def test_a_public_key_is_not_taken_for_a_private_one_that_lies_open(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="cannot open") as caught:
        pem_signer(kept(tmp_path / "a.pub", b"ed25519 00 build\n", 0o644))
    assert caught.value.cause == "it is no private key in PEM"


def _pem(other: bool = False, encrypted: bool = False) -> bytes:
    one = generate_private_key(SECP256R1()) if other else private()
    cover = BestAvailableEncryption(SECRET) if encrypted else NoEncryption()
    return one.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, cover)


@pytest.mark.parametrize(
    ("data", "passphrase", "error", "words"),
    [
        (_pem(encrypted=True), None, UsageError, "is encrypted"),
        (_pem(encrypted=True), b"", UsageError, "is encrypted"),
        (_pem(encrypted=True), b"hunter2 is my other", VerificationError, "the passphrase is wrong"),
        (_pem(encrypted=True)[:100], SECRET, VerificationError, "cannot open"),
        (_pem(other=True), None, VerificationError, "not a key of Ed25519"),
        (b"", None, VerificationError, "no private key in PEM"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", None, VerificationError, "cannot open"),
    ],
    ids=["no passphrase", "an empty one", "a wrong one", "half a file", "another kind of key", "nothing", "rubbish"],
)
def test_a_key_does_not_open(
    tmp_path: Path, data: bytes, passphrase: bytes | None, error: type[FleetError], words: str
) -> None:
    with pytest.raises(error) as caught:
        pem_signer(kept(tmp_path / "a.pem", data), passphrase)
    told = f"{caught.value} {caught.value.hint} {caught.value!r} {caught.value.__cause__!r}"
    assert words in told
    for secret in (SECRET, passphrase or SECRET, private().private_bytes_raw().hex().encode()):
        assert secret.decode() not in told


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        pem_signer(tmp_path / "a.pem")


def test_a_signer_does_not_show_its_key(tmp_path: Path) -> None:
    signer = pem_signer(kept(tmp_path / "a.pem", make.private_pem(private())))
    assert private().private_bytes_raw().hex() not in repr(signer)
    assert "Ed25519" not in repr(signer)


@pytest.mark.parametrize("text", [b"", b"short", b"seven77"])
def test_a_passphrase_that_is_too_short_is_refused_and_not_told(text: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        make.check_passphrase(text)
    assert not text or text.decode() not in str(caught.value)


# ---- Public keys


def test_a_public_key_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "anna.pub"
    public("anna").save(path)
    assert path.read_text() == f"ed25519 {key('anna').public.hex()} anna\n"
    assert load_public(path) == public("anna")
    with pytest.raises(NotAllowedError):
        public("berta").save(path)


def test_a_public_key_in_pem_is_called_like_its_file(tmp_path: Path) -> None:
    data = private().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert load_public(kept(tmp_path / "hsm-1.pem", data)) == PublicKey("hsm-1", key("build").public)


_ORDER_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ed25519\n",
        b"ed25519 " + b"00" * 31 + b"\n",
        b"rsa " + key("anna").public.hex().encode(),
        f"ed25519 {bytes(32).hex()} nobody\n".encode(),
        f"ed25519 01{bytes(31).hex()} neutral\n".encode(),
        f"ed25519 {_ORDER_8} small\n".encode(),
        f"ed25519 {'ff' * 32} beyond\n".encode(),
        f"ed25519 02{bytes(31).hex()} beside\n".encode(),
        make.private_pem(private()),
        generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ],
    ids=[
        "nothing",
        "no key",
        "a short key",
        "another algorithm",
        "y = 0",
        "the neutral point",
        "a point of order 8",
        "a number above the prime",
        "no point at all",
        "a private key",
        "PEM of another kind",
        "rubbish",
    ],
)
def test_is_no_public_key(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(VerificationError):
        load_public(kept(tmp_path / "a.pub", data))


# ---- Behind a command


def script(tmp_path: Path, body: str) -> list[str]:
    path = kept(tmp_path / "signer.py", f"import os, sys, time\ndata = sys.stdin.buffer.read()\n{body}\n".encode())
    return [sys.executable, str(path)]


ANSWER = "sys.stdout.buffer.write(bytes.fromhex({!r}))"


def test_a_command_signs_what_it_gets_on_its_standard_input(tmp_path: Path) -> None:
    pem = kept(tmp_path / "a.pem", make.private_pem(private()))
    body = (
        "from cryptography.hazmat.primitives.serialization import load_pem_private_key\n"
        f"key = load_pem_private_key(open({str(pem)!r}, 'rb').read(), None)\n"
        "sys.stdout.buffer.write(key.sign(data))"
    )
    signer = command_signer(script(tmp_path, body), key("build").public)
    assert holds(key("build").public, DATA, signer.sign(DATA))


RIGHT = key("build").sign(DATA).hex()
COMMANDS: dict[str, tuple[str, type[FleetError], str]] = {
    "fails and says why": ("print('no card', file=sys.stderr); sys.exit(1)", FleetError, "code 1: no card"),
    "fails though it answers": (ANSWER.format(RIGHT) + "; sys.exit(3)", FleetError, "code 3"),
    "answers nothing": ("pass", FleetError, "answered 0 bytes"),
    "answers too little": (ANSWER.format(RIGHT[:-2]), FleetError, "answered 63 bytes"),
    "answers a line more": (ANSWER.format(RIGHT + "0a"), FleetError, "more than 64"),
    "answers without end": ("sys.stdout.write('x' * 10_000_000)", FleetError, "more than 64"),
    "signs something else": (ANSWER.format(key("build").sign(b"other").hex()), VerificationError, "does not hold"),
    "signs with another key": (ANSWER.format(key("anna").sign(DATA).hex()), VerificationError, "does not hold"),
}


@pytest.mark.parametrize(("body", "error", "words"), COMMANDS.values(), ids=COMMANDS.keys())
def test_a_command_that(tmp_path: Path, body: str, error: type[FleetError], words: str) -> None:
    with pytest.raises(error) as caught:
        command_signer(script(tmp_path, body), key("build").public).sign(DATA)
    assert type(caught.value) is error
    assert words in str(caught.value)


def test_a_command_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[call-overload]
            begun.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    signer = command_signer(script(tmp_path, "time.sleep(600)"), key("build").public, timeout_s=0.1)
    with pytest.raises(TimedOutError, match=r"did not answer in 0\.1 s"):
        signer.sign(DATA)
    assert [child.returncode for child in begun] == [-9]


def test_what_a_command_leaves_running_holds_nobody_up(tmp_path: Path) -> None:
    body = (
        "import subprocess\n"
        "left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'left')!r}, 'w').write(str(left.pid))\n" + ANSWER.format(RIGHT)
    )
    try:
        assert command_signer(script(tmp_path, body), key("build").public, timeout_s=60).sign(DATA).hex() == RIGHT
    finally:
        os.kill(int((tmp_path / "left").read_text()), 9)


def test_what_a_command_says_is_told_without_its_controls(tmp_path: Path) -> None:
    body = "sys.stderr.write('\\x1b[2Jgone\\x07 ' + 'x' * 5000 + ' the end'); sys.exit(1)"
    with pytest.raises(FleetError) as caught:
        command_signer(script(tmp_path, body), key("build").public).sign(DATA)
    assert caught.value.cause.endswith("the end")
    assert len(caught.value.cause) <= 500
    assert caught.value.cause.isprintable()


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(FleetError, match="cannot start"):
        command_signer(["/nowhere/signer"], key("build").public).sign(DATA)
    with pytest.raises(UsageError):
        command_signer([], key("build").public)


# ---- What --key names


def never(path: Path) -> bytes:
    raise AssertionError(path)


def test_a_file_describes_an_external_signer(tmp_path: Path) -> None:
    public("build").save(tmp_path / "build.pub")
    argv = script(tmp_path, ANSWER.format(RIGHT))
    text = f'command = ["{argv[0]}", "{argv[1]}"]\npublic = "build.pub"\ntimeout_s = 5.5\n'
    signer = open_signer(kept(tmp_path / "hsm.toml", text.encode()), never)
    assert signer.public == key("build").public
    assert signer.sign(DATA).hex() == RIGHT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "command = [",
        'command = "sh -c evil"\npublic = "build.pub"',
        'command = []\npublic = "build.pub"',
        'command = ["a", 1]\npublic = "build.pub"',
        'command = ["a"]',
        'command = ["a"]\npublic = "build.pub"\ntimeout_s = 0',
        'command = ["a"]\npublic = "build.pub"\ntimeout_s = true',
        'command = ["a"]\npublic = "build.pub"\ntimeout_s = 86401',
        'command = ["a"]\npublic = "build.pub"\nshell = true',
        'command = ["a\\u0000"]\npublic = "build.pub"',
        'command = ["a"]\npublic = "build\\u0000.pub"',
        "command = " + "[" * 5000,
    ],
)
def test_a_file_that_describes_no_signer(tmp_path: Path, text: str) -> None:
    public("build").save(tmp_path / "build.pub")
    with pytest.raises(UsageError):
        open_signer(kept(tmp_path / "hsm.toml", text.encode()), never)


def test_a_passphrase_is_asked_for_only_where_one_is_needed(tmp_path: Path) -> None:
    plain = kept(tmp_path / "plain.pem", make.private_pem(private()))
    hidden = kept(tmp_path / "hidden.pem", make.private_pem(private(), SECRET, 1))
    assert open_signer(plain, never).public == open_signer(hidden, lambda path: SECRET).public


def test_new_files_are_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        public("anna").save(tmp_path / "anna.pub")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "anna.pub").stat().st_mode) == 0o644
