"""The cause of each alarm, as an asynchronous generator: before its `yield` the alarm is raised, and after it the cause ends."""
