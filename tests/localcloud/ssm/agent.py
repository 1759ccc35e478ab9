"""A small agent for tests: signs with the node's key and with role tokens, independently of the code under test."""

import base64
import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from localcloud.clock import Clock
from localcloud.wire import Headers, Request, Response

JSON = "application/x-amz-json-1.1"


@cache
def private_key(number: int) -> rsa.RSAPrivateKey:
    """The same key for the same number, made once per test process."""
    del number
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_text(key: rsa.RSAPrivateKey | Any) -> str:
    """A public key as the agent sends it."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, form)).decode()


@dataclass
class Agent:
    """One node's agent. Calls answer with the Response; `register` and `fetch_token` also keep what they learn."""

    dispatch: Callable[[Request], Response]
    clock: Clock
    key: int = 0
    fingerprint: str = field(default_factory=lambda: str(uuid.uuid4()))
    node_id: str = ""
    token: dict[str, Any] = field(default_factory=dict)
    host: str = "127.0.0.1:8443"
    region: str = "us-east-1"

    def register(self, activation_id: str, code: str, **changed: str) -> Response:
        body = {
            "ActivationCode": code,
            "ActivationId": activation_id,
            "Fingerprint": self.fingerprint,
            "PublicKey": public_text(private_key(self.key)),
            "PublicKeyType": "Rsa",
        }
        response = self.send("AmazonSSM.RegisterManagedInstance", body | changed)
        if response.status == 200:
            self.node_id = json.loads(response.body)["InstanceId"]
        return response

    def fetch_token(self, **changed: str) -> Response:
        response = self.with_key("RequestManagedInstanceRoleToken", {"Fingerprint": self.fingerprint} | changed)
        if response.status == 200:
            self.token = json.loads(response.body)
        return response

    def change_key(self, key: int) -> Response:
        body = {"NewPublicKey": public_text(private_key(key)), "NewPublicKeyType": "Rsa"}
        return self.with_key("UpdateManagedInstancePublicKey", body)

    def heartbeat(self, **reported: str) -> Response:
        short = {"AgentName": "amazon-ssm-agent", "AgentVersion": "3.3.0.0", "PlatformType": "Linux"}
        return self.with_token("AmazonSSM.UpdateInstanceInformation", {"InstanceId": self.node_id} | short | reported)

    def full_heartbeat(self, **reported: str) -> Response:
        full = {
            "AgentStatus": "Active",
            "AvailabilityZone": "",
            "AvailabilityZoneId": "",
            "ComputerName": "node1.example.test",
            "IPAddress": "10.77.0.5",
            "PlatformName": "Debian GNU/Linux",
            "PlatformVersion": "12",
            "SSMConnectionChannel": "",
        }
        return self.heartbeat(**full | reported)

    def poll(self) -> Response:
        body = {"Destination": self.node_id, "MessagesRequestId": str(uuid.uuid4()), "VisibilityTimeoutInSeconds": 10}
        return self.with_token("EC2WindowsMessageDeliveryService.GetMessages", body)

    def send(self, target: str, body: Any, headers: tuple[tuple[str, str], ...] = ()) -> Response:
        named = (("Host", self.host), ("Content-Type", JSON), ("X-Amz-Target", target))
        return self.dispatch(
            Request(method="POST", path="/", headers=Headers(named + headers), body=json.dumps(body).encode())
        )

    def with_key(self, operation: str, body: Any) -> Response:
        target, stamp = f"AmazonSSM.{operation}", f"{self.clock.now():%Y%m%dT%H%M%SZ}"
        scope = f"{stamp[:8]}/{self.region}/ssm/aws4_request"
        names = "content-type;host;x-amz-date;x-amz-target"
        lines = f"content-type:{JSON}\nhost:{self.host}\nx-amz-date:{stamp}\nx-amz-target:{target}\n"
        canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(json.dumps(body).encode()).hexdigest()}"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
        signature = base64.b64encode(private_key(self.key).sign(text.encode(), scheme, hashes.SHA256())).decode()
        credential = f"Credential={self.node_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        return self.send(target, body, (("X-Amz-Date", stamp), ("Authorization", f"AWS4-HMAC-SHA256 {credential}")))

    def with_token(self, target: str, body: Any, *, path: str = "/") -> Response:
        service = {"AmazonSSM": "ssm", "EC2WindowsMessageDeliveryService": "ec2messages", "": "ssmmessages"}
        prefix = target.partition(".")[0]
        headers = {"Content-Type": JSON, "X-Amz-Target": target} if target else {"Content-Type": "application/json"}
        request = AWSRequest("POST", f"http://{self.host}{path}", headers=headers, data=json.dumps(body))
        known = Credentials(self.token["AccessKeyId"], self.token["SecretAccessKey"], self.token["SessionToken"])
        SigV4Auth(known, service[prefix], self.region).add_auth(request)
        sent = Headers.of({"Host": self.host, **dict(request.headers.items())})
        return self.dispatch(Request(method="POST", path=path, headers=sent, body=json.dumps(body).encode()))


def fields(response: Response) -> dict[str, Any]:
    """A JSON answer."""
    found: dict[str, Any] = json.loads(response.body)
    return found


def refusal(response: Response) -> tuple[int, str]:
    """Status and code of a refused call."""
    return response.status, fields(response)["__type"]
