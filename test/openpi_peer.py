"""Run by a Python that has openpi-client: what that client makes of a server, as an npz."""

import sys

import numpy as np
from openpi_client.websocket_client_policy import WebsocketClientPolicy

url, out = sys.argv[1:]
client = WebsocketClientPolicy(url)
question = {
    "observation/exterior_image_1_left": np.full((224, 224, 3), 7, np.uint8),
    "observation/gripper_position": np.array([0.25], np.float32),
    "prompt": "lift",
}
answers = [client.infer(question)["actions"] for _ in range(2)]
np.savez(out, actions=np.stack(answers), protocol=client.get_server_metadata()["protocol"])
