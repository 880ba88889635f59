"""Drop-ins: classes of other systems that keep what they keep in holdfast, so that only the import line changes."""
