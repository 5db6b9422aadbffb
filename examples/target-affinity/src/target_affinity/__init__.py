"""How strongly a molecule binds a protein: a task for medtasks with a kind of case of its own."""
