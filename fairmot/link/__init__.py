"""The command that looks over finished tracks: splits what is two people, joins what is one."""
