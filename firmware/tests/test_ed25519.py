import json
from binascii import hexlify, unhexlify

from firmware.tests.test_sha512 import finish
from node.core import ed25519
from node.core.ed25519 import Key, verify

FIELD_WORK = 48  # multiplications between two yields, at most: about 4 ms of an ESP32 at 240 MHz
WHOLE_WORK = 3200  # of one verification

# RFC 8032 section 7.1: (public key, message, signature)
RFC_8032 = {
    "TEST 1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "TEST 2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "TEST 3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    "TEST 1024": (
        "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
        "08b8b2b733424243760fe426a4b54908632110a66c2f6591eabd3345e3e4eb98fa6e264bf09efe12ee50f8f54e9f77b1e355f6c5"
        "0544e23fb1433ddf73be84d879de7c0046dc4996d9e773f4bc9efe5738829adb26c81b37c93a1b270b20329d658675fc6ea534e0"
        "810a4432826bf58c941efb65d57a338bbd2e26640f89ffbc1a858efcb8550ee3a5e1998bd177e93a7363c344fe6b199ee5d02e82"
        "d522c4feba15452f80288a821a579116ec6dad2b3b310da903401aa62100ab5d1a36553e06203b33890cc9b832f79ef80560ccb9"
        "a39ce767967ed628c6ad573cb116dbefefd75499da96bd68a8a97b928a8bbc103b6621fcde2beca1231d206be6cd9ec7aff6f6c9"
        "4fcd7204ed3455c68c83f4a41da4af2b74ef5c53f1d8ac70bdcb7ed185ce81bd84359d44254d95629e9855a94a7c1958d1f8ada5"
        "d0532ed8a5aa3fb2d17ba70eb6248e594e1a2297acbbb39d502f1a8c6eb6f1ce22b3de1a1f40cc24554119a831a9aad6079cad88"
        "425de6bde1a9187ebb6092cf67bf2b13fd65f27088d78b7e883c8759d2c4f5c65adb7553878ad575f9fad878e80a0c9ba63bcbcc"
        "2732e69485bbc9c90bfbd62481d9089beccf80cfe2df16a2cf65bd92dd597b0707e0917af48bbb75fed413d238f5555a7a569d80"
        "c3414a8d0859dc65a46128bab27af87a71314f318c782b23ebfe808b82b0ce26401d2e22f04d83d1255dc51addd3b75a2b1ae078"
        "4504df543af8969be3ea7082ff7fc9888c144da2af58429ec96031dbcad3dad9af0dcbaaaf268cb8fcffead94f3c7ca495e056a9"
        "b47acdb751fb73e666c6c655ade8297297d07ad1ba5e43f1bca32301651339e22904cc8c42f58c30c04aafdb038dda0847dd988d"
        "cda6f3bfd15c4b4c4525004aa06eeff8ca61783aacec57fb3d1f92b0fe2fd1a85f6724517b65e614ad6808d6f6ee34dff7310fdc"
        "82aebfd904b01e1dc54b2927094b2db68d6f903b68401adebf5a7e08d78ff4ef5d63653a65040cf9bfd4aca7984a74d371459867"
        "80fc0b16ac451649de6188a7dbdf191f64b5fc5e2ab47b57f7f7276cd419c17a3ca8e1b939ae49e488acba6b965610b5480109c8"
        "b17b80e1b7b750dfc7598d5d5011fd2dcc5600a32ef5b52a1ecc820e308aa342721aac0943bf6686b64b2579376504ccc493d97e"
        "6aed3fb0f9cd71a43dd497f01f17c0e2cb3797aa2a2f256656168e6c496afc5fb93246f6b1116398a346f1a641f3b041e989f791"
        "4f90cc2c7fff357876e506b50d334ba77c225bc307ba537152f3f1610e4eafe595f6d9d90d11faa933a15ef1369546868a7f3a45"
        "a96768d40fd9d03412c091c6315cf4fde7cb68606937380db2eaaa707b4c4185c32eddcdd306705e4dc1ffc872eeee475a64dfac"
        "86aba41c0618983f8741c5ef68d3a101e8a3b8cac60c905c15fc910840b94c00a0b9d0",
        "0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350"
        "aa5371b1508f9f4528ecea23c436d94b5e8fcd4f681e30a6ac00a9704a188a03",
    ),
    "TEST SHA(abc)": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
}


def row(texts):
    return [unhexlify(text) for text in texts]


def table(name):
    """{what it is: [public key, message, signature]} of a table that ed25519_forge.py has made."""
    with open(__file__.rsplit("/", 1)[0] + "/ed25519_rows.json") as file:
        return {what: row(texts) for what, texts in json.load(file)[name].items()}


def says(public, message, signature):
    verdict, _ = finish(verify(public, message, signature))
    assert verdict is True or verdict is False
    return verdict


def test_the_signatures_of_the_standard():
    for what, texts in RFC_8032.items():
        public, message, signature = row(texts)
        assert says(public, message, signature), what
        assert not says(public, message + b"\x00", signature), what
        for at in (0, 31, 32, 63):
            damaged = bytearray(signature)
            damaged[at] ^= 1
            assert not says(public, message, bytes(damaged)), (what, at)


def test_what_everybody_takes():
    for what, texts in table("taken").items():
        assert says(*texts), what


def test_what_everybody_refuses():
    for what, texts in table("refused").items():
        assert not says(*texts), what


def test_what_we_alone_refuse():
    for what, texts in table("stricter").items():
        assert not says(*texts), what


def test_every_cut_is_refused():
    public, message, signature = row(RFC_8032["TEST 3"])
    for size in range(64):
        assert not says(public, message, signature[:size]), size
        assert size > 31 or not says(public[:size], message, signature), size


def test_a_key_remembers_its_x_and_nothing_of_the_message():
    public, message, signature = row(RFC_8032["TEST 3"])
    key = Key(public)
    cold = finish(verify(key, message, signature))
    warm = finish(verify(key, message, signature))
    assert cold[0] is warm[0] is True
    assert warm[1] < cold[1]
    assert not says(key, message + b"\x00", signature)
    none = Key(b"\x02" + bytes(31))  # no point has that y
    assert not says(none, message, signature)
    assert none.x == 0
    assert not says(none, message, signature)


def test_refusals_that_need_no_arithmetic_cost_no_step():
    public, message, signature = row(RFC_8032["TEST 3"])
    too_large = signature[:32] + ed25519.L.to_bytes(32, "little")
    for texts in ((public, message, too_large), (bytes(32), message, signature), (public, message, bytes(64))):
        assert finish(verify(*texts)) == (False, 0)


class Counter:
    """Counts the multiplications in the field while it stands in their place."""

    def __init__(self):
        self.real = ed25519._mul
        self.steps = [0]

    def __call__(self, a, b):
        self.steps[-1] += 1
        assert max(abs(a), abs(b)) < 1 << 265, "a factor that nobody reduces"
        return self.real(a, b)

    def run(self, public, message, signature):
        ed25519._mul = self
        try:
            steps = verify(public, message, signature)
            while True:
                next(steps)
                self.steps.append(0)
        except StopIteration as end:
            return end.value
        finally:
            ed25519._mul = self.real


def test_no_step_is_long_and_the_whole_is_bounded():
    for what, texts in sorted(table("taken").items()):
        counter = Counter()
        assert counter.run(*texts), what
        assert max(counter.steps) <= FIELD_WORK, what
        assert sum(counter.steps) <= WHOLE_WORK, what
        assert len(counter.steps) > 80, what


def test_the_digits_of_a_scalar_add_up_and_are_sparse():
    for scalar in (0, 1, 7, 8, 9, 15, 16, ed25519.L - 1, int("7" * 60, 16), int("9" * 60, 16), (1 << 252) - 1):
        digits = ed25519._digits(scalar)
        values = [digit - 16 if digit > 8 else digit for digit in digits]
        assert sum([value << at for at, value in enumerate(values)]) == scalar, hexlify(scalar.to_bytes(32, "big"))
        assert all(not value or value & 1 for value in values)
        for at in range(253):
            assert len([1 for value in values[at : at + 4] if value]) <= 1, "two digits within four"
