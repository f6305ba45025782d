"""``python -m zhenbao``: the same as the ``zhenbao`` command."""

from zhenbao.cli import main

if __name__ == "__main__":
    main()
