"""The information viewer (webbvisaren): the pages that clinicians use, in Swedish and English."""
