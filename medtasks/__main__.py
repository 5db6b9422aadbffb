"""``python -m medtasks``."""

from medtasks.cli import main

if __name__ == "__main__":
    main()
