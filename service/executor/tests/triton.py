"""Infers by Triton's HTTP client until a file appears, and compares every answer with the tier that gave it.

    triton.py HOST:PORT TENANT EXPECTED.json STOP

Prints `ready` after the first answer, and a report as one line of JSON at the end.
"""

import json
import os
import sys

import numpy
import tritonclient.http as triton

address, tenant, expected_file, stop = sys.argv[1:]
with open(expected_file) as file:
    expected = json.load(file)
size = expected["size"]
picture = numpy.array(expected["picture"], dtype=numpy.float32).reshape(1, 3, size, size)

client = triton.InferenceServerClient(address, connection_timeout=60.0, network_timeout=60.0)
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(tenant)
metadata = client.get_model_metadata(tenant)
assert metadata["inputs"][0]["name"] == "input", metadata

answered, failed, tiers, plans = 0, [], set(), set()
binary = True
while not os.path.exists(stop) or answered == 0:
    # Both ways that tensors travel, in turn.
    binary = not binary
    tensor = triton.InferInput("input", list(picture.shape), "FP32")
    tensor.set_data_from_numpy(picture, binary_data=binary)
    output = triton.InferRequestedOutput("logits", binary_data=binary)
    try:
        result = client.infer(tenant, [tensor], outputs=[output])
        found = result.as_numpy("logits").reshape(-1)
        parameters = result.get_response()["parameters"]
        wanted = numpy.array(expected[parameters["tier"]], dtype=numpy.float32)
        difference = float(numpy.abs(found - wanted).max() / numpy.abs(wanted).max())
        if difference > 1e-5:
            failed.append(f"plan {parameters['plan_version']}: differs by {difference}")
        tiers.add(parameters["tier"])
        plans.add(parameters["plan_version"])
        answered += 1
    except Exception as error:  # every failure counts, whatever it is
        failed.append(repr(error))
    if answered + len(failed) == 1:
        print("ready", flush=True)
print(json.dumps({"answered": answered, "failed": failed[:10], "tiers": sorted(tiers), "plans": len(plans)}))
