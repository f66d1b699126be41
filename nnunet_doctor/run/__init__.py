"""The command ``run``: look, plan, show, refuse or start, watch, and start again where that helps."""
