"""Use the client of openapi-python-client: list, one image, a bulk request, an error."""

import json
import sys
from hashlib import sha256

from client import Client
from client.api.generators import list_generators
from client.api.images import get_image, make_many
from client.models import GetImageFormat, Problem, SampleRequest, SampleRequestFormat
from client.types import File

client = Client(base_url=sys.argv[1])
generators = list_generators.sync(client=client).models
first = generators[0]
version = (first.name, first.digest[:12], 42)
image = get_image.sync(*version, GetImageFormat.PNG, client=client)
assert isinstance(image, File)
body = SampleRequest(model=first.name, seeds="0-3", format_=SampleRequestFormat.NPY)
bulk = make_many.sync(client=client, body=body)
assert isinstance(bulk, File)
problem = get_image.sync(*version, GetImageFormat.PNG, client=client, scale=9999)
assert isinstance(problem, Problem)
files = [sha256(file.payload.read()).hexdigest() for file in (image, bulk)]
print(json.dumps([[each.name for each in generators], *files, problem.status, problem.field]))
