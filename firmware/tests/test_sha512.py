from binascii import hexlify

from node.core.sha512 import sha512

# Messages of NIST's example values for FIPS 180-4
EXAMPLES = {
    b"abc": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    b"": "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
    "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": "204a8fc6dda82f0a0ced7beb8e08a416"
    "57c16ef468b228a8279be331a703c33596fd15c13b1b07f9aa1d3bea57789ca031ad85c7a71dd70354ec631238ca3445",
    b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrst"
    b"nopqrstu": "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
    "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909",
}
# Zeros that end a block in every way: (bytes, first and last eight bytes of the digest)
ZEROS = (
    (111, "77ddd3a542e530fd", "543d22102ab1788c"),
    (112, "2be2e788c8a8adea", "09c70704ec707952"),
    (127, "876fee26a8dc66d6", "95be55b6916890a1"),
    (128, "ab942f526272e456", "c55cd91924d6ba11"),
    (239, "5ab1250bc60e105f", "254d3d47a7018205"),
    (240, "ba21e55aa88dc8b1", "1f85235daf3b89ec"),
    (256, "693f95d58383a616", "dc92b4f9fb9910c6"),
)


def finish(generator):
    """(what a generator returns, how often it yielded)."""
    count = 0
    try:
        while True:
            assert next(generator) is None
            count += 1
    except StopIteration as end:
        return end.value, count


def test_the_examples_of_the_standard():
    for message, digest in EXAMPLES.items():
        assert hexlify(finish(sha512(message))[0]).decode() == digest, message
        assert finish(sha512(memoryview(message)))[0] == finish(sha512(bytearray(message)))[0], message


def test_every_way_to_end_a_block():
    for size, first, last in ZEROS:
        digest = hexlify(finish(sha512(bytes(size)))[0]).decode()
        assert (digest[:16], digest[-16:]) == (first, last), size


def test_it_yields_five_times_a_block_and_so_every_sixteen_rounds():
    for size, blocks in ((0, 1), (111, 1), (112, 2), (239, 2), (240, 3)):
        assert finish(sha512(bytes(size)))[1] == 5 * blocks, size
