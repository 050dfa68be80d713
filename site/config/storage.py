from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticStorage(CompressedManifestStaticFilesStorage):
    """Hashed names, Brotli and gzip beside each file.

    ES modules import each other by plain relative paths, so those are rewritten too.
    """

    support_js_module_import_aggregation = True
