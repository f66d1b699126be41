"""Mending a raw dataset so that every step can be taken back.

``command`` is what the user sees; ``plan`` turns a survey into changes with the help of ``names``, ``labels``,
``grids``, ``relabel`` and ``description``; ``journal`` carries them out, and back; ``steps`` are the few kinds of moves
that it knows; ``lock`` keeps a second run out.

A dataset is changed by renaming files only, and only to names that are free. New content is first written whole into
the folder ``.nnunet-doctor-fix`` of the dataset, then the list of steps is, and then files change places: the original
goes into the folder and the new one comes out of it. Which moves were made can be seen from where the files are, so
nothing is written while they are made; a kill, a full disk or a lost connection leaves what can be taken back.
"""
