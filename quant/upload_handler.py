"""Django's side of an upload: its bytes go straight into a file beside the store's."""

from typing import IO, Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest

from quant import uploads


class StoreUploadHandler(FileUploadHandler):
    """Raises UploadError before anything is read if it is too much.

    Whoever makes one closes it: Django leaves files open when writing them fails.
    """

    chunk_size = 1 << 20

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request)
        self.files: list[IO[bytes]] = []

    def close(self) -> None:
        for file in self.files:
            file.close()

    def handle_raw_input(
        self,
        input_data: Any,
        META: Any,
        content_length: int,
        boundary: Any,
        encoding: Any = None,
    ) -> None:
        uploads.check_size(content_length)

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.files.append(uploads.new_part())

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        while raw_data:
            raw_data = raw_data[self.files[-1].write(raw_data) :]

    def file_complete(self, file_size: int) -> UploadedFile:
        return UploadedFile(self.files[-1], self.file_name, size=file_size)
