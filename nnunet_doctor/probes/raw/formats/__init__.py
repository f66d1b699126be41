"""The file formats that nnU-Net's readers take, one module each.

A module has three functions:

    read_header(source, reader) -> Header
        reads what the file says of itself, as the named reader of nnU-Net understands it; raises DamageError
    check_end(source, header) -> bool
        looks whether the file is whole, without decoding it: False when only decoding can tell; raises DamageError
    voxels(source, header) -> Iterator[bytes]
        decodes all voxels in pieces of at most about 1 MB where the format allows, whole values each, and checks
        what checksums there are; raises DamageError as soon as something is wrong, also at the very end

Hostile content is taken too: any byte at any place gives a Header or a DamageError, in bounded memory and time.
"""
