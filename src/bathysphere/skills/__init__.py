"""What an Agent Skill is: a folder with a ``SKILL.md``, whatever way it comes in. Knows nothing of HTTP or SQL."""
