"""What the learner notes down about an experiment."""

from django import forms

MAX_NOTES = 10_000  # characters


class NotesForm(forms.Form):
    """A line break counts as one character, however the browser sends it."""

    notes = forms.CharField(required=False, strip=False)

    def clean_notes(self) -> str:
        notes = self.cleaned_data["notes"].replace("\r\n", "\n").rstrip()
        if len(notes) > MAX_NOTES:
            raise forms.ValidationError(
                f"Notes have at most {MAX_NOTES:,} characters; these are {len(notes):,}. "
                "Nothing is saved yet: shorten them and save again."
            )
        return notes
