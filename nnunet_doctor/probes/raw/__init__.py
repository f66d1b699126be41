"""Reading a raw dataset: every fault of it in one pass, at a fraction of the time that nnU-Net's verification takes.

``survey`` puts it together: ``structure`` says which files belong to which case, ``description`` reads dataset.json,
``examine`` reads one file with the help of ``formats``, ``crew`` shares the files among processes, ``cache`` remembers
unchanged ones, ``across`` compares cases. No torch, nnunetv2, SimpleITK or nibabel; NumPy only where it pays.
"""
