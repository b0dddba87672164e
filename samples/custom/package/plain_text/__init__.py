"""Removes what identifies people from texts, by rules alone. A model of the format `python`: `plain_text.redactor:Redactor`."""
