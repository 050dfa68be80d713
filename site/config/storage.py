from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticStorage(CompressedManifestStaticFilesStorage):
    """Hashed names, Brotli and gzip beside each file.

    Our modules import each other by relative paths, so those get hashed names too; packages'
    scripts are left alone (a comment in one of them reads like an import).
    """

    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        ("js/*.js", CompressedManifestStaticFilesStorage._js_module_import_aggregation_patterns[1]),
    )
