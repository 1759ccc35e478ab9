"""The calls that the agent makes, with its headers, signatures, errors and retries."""

import hashlib
import http.client
import json
import random
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from localcloud.machines.agent.places import AGENT_VERSION, Configuration, go_json
from localcloud.machines.agent.signing import HeaderList, NodeKey, Sign, Token, authorization, hmac_sign
from localcloud.machines.agent.websocket import WebSocket
from localcloud.machines.agent.wire import Answer, Channel, chunked

JSON = "application/x-amz-json-1.1"
USER_AGENT = f"aws-sdk-go/1.51.20 (go1.21.13; linux; amd64) amazon-ssm-agent/{AGENT_VERSION}"
PREFIXES = {"ssm": "AmazonSSM", "ec2messages": "EC2WindowsMessageDeliveryService"}
RETRY_PAUSES_SECONDS = ((1.0, 1.5), (2.0, 3.0), (4.0, 6.0))
# Seconds that the client waits: a poll is cut sooner than other calls.
TIMEOUTS = {"ssm": 60.0, "ec2messages": 20.0, "ssmmessages": 15.0}
THROTTLED = frozenset(
    {"ThrottlingException", "Throttling", "ThrottledException", "TooManyRequestsException", "RequestThrottled",
     "RequestLimitExceeded", "RequestThrottledException", "ProvisionedThroughputExceededException", "SlowDown"}
)  # fmt: skip
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
# Errors that the API's model names are printed bare; others with status and request id.
MODELLED = frozenset(
    {"InvalidActivation", "ActivationExpired", "RegistrationLimitExceeded", "InstanceAlreadyRegistered",
     "InvalidPublicKey", "InternalServerError", "TooManyUpdates", "MachineFingerprintDoesNotMatch",
     "InvalidInstanceId"}
)  # fmt: skip


class CallFailed(Exception):
    """A service refused, or could not be reached (`code` RequestError). The text is what the agent prints."""

    def __init__(self, code: str, message: str, *, status: int = 0, request_id: str = "") -> None:
        text = f"{code}: {message}"
        if status and code not in MODELLED:
            text += f"\n\tstatus code: {status}, request id: {request_id}"
        super().__init__(text)
        self.code = code
        self.status = status


class Services:
    """All calls of one agent. Calls that need the role token ask for it anew at each try."""

    def __init__(
        self,
        *,
        region: str,
        configuration: Configuration,
        tls: ssl.SSLContext | None,
        pause: Callable[[float], object],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._region = region
        self._configuration = configuration
        self._tls = tls
        self._pause = pause
        self._now = now
        self._channels: dict[tuple[str, str], Channel] = {}
        self._lock = threading.Lock()
        self._closed = False

    def register(self, *, activation_id: str, code: str, fingerprint: str, public_key: str) -> str:
        """RegisterManagedInstance, unsigned; the new node's id."""
        payload = {
            "ActivationCode": code,
            "ActivationId": activation_id,
            "Fingerprint": fingerprint,
            "PublicKey": public_key,
            "PublicKeyType": "Rsa",
        }
        return str(self._json("ssm", "RegisterManagedInstance", payload, self._anonymous)["InstanceId"])

    def request_token(self, *, node_id: str, key: NodeKey, fingerprint: str) -> tuple[Token, bool]:
        """RequestManagedInstanceRoleToken; the token, and whether the service wants a new key pair."""
        answer = self._json(
            "ssm", "RequestManagedInstanceRoleToken", {"Fingerprint": fingerprint}, self._with_key(node_id, key)
        )
        token = Token(
            access_key=answer["AccessKeyId"],
            secret_key=answer["SecretAccessKey"],
            session_token=answer["SessionToken"],
            retrieved_at=self._now(),
            expires_at=datetime.fromtimestamp(float(answer["TokenExpirationDate"]), UTC),
        )
        return token, bool(answer["UpdateKeyPair"])

    def update_public_key(self, *, node_id: str, key: NodeKey, new_public_key: str) -> None:
        """UpdateManagedInstancePublicKey, signed with the old key."""
        payload = {"NewPublicKey": new_public_key, "NewPublicKeyType": "Rsa"}
        self._json("ssm", "UpdateManagedInstancePublicKey", payload, self._with_key(node_id, key))

    def call(
        self, service: str, operation: str, payload: dict[str, Any], token: Callable[[], Token], *, lane: str = ""
    ) -> dict[str, Any]:
        """Any other JSON call, signed with the role token; calls of different lanes need not wait for each other."""
        return self._json(service, operation, payload, self._with_token(service, token), lane=lane)

    def open_control_channel(self, node_id: str, request_id: str, token: Callable[[], Token]) -> Answer:
        """The POST that precedes the control channel; not repeated here."""
        channel = self._channel("ssmmessages")
        body = go_json({"MessageSchemaVersion": "1.0", "RequestId": request_id}).encode()
        path = f"/v1/control-channel/{node_id}"
        current, date = token(), self._stamp()
        signed = [
            ("content-type", "application/json"),
            ("host", channel.host),
            ("x-amz-date", date),
            ("x-amz-security-token", current.session_token),
        ]
        auth = self._authorize(
            service="ssmmessages",
            path=path,
            signed=signed,
            body=body,
            date=date,
            credential=current.access_key,
            sign=hmac_sign(current.secret_key),
        )
        headers = [
            ("Host", channel.host),
            ("User-Agent", "Go-http-client/1.1"),
            ("Content-Length", str(len(body))),
            ("Authorization", auth),
            ("Content-Type", "application/json"),
            ("X-Amz-Date", date),
            ("X-Amz-Security-Token", current.session_token),
            ("Accept-Encoding", "gzip"),
        ]
        try:
            return channel.exchange("POST", path, headers, body)
        finally:
            channel.close()

    def join_control_channel(self, node_id: str, token: Callable[[], Token]) -> WebSocket:
        """The upgrade that follows the POST; Refused or another OSError if there is no channel."""
        base_url = self._configuration.endpoint("ssmmessages", self._region)
        host = urlsplit(base_url).netloc
        current, date = token(), self._stamp()
        path, query = f"/v1/control-channel/{node_id}", "role=subscribe&stream=input"
        auth = self._authorize(
            method="GET",
            service="ssmmessages",
            path=path,
            query=query,
            signed=[("host", host), ("x-amz-date", date), ("x-amz-security-token", current.session_token)],
            body=b"",
            date=date,
            credential=current.access_key,
            sign=hmac_sign(current.secret_key),
        )
        headers = [
            ("Host", host),
            ("User-Agent", "Go-http-client/1.1"),
            ("Authorization", auth),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", ""),  # made with the connection
            ("Sec-WebSocket-Version", "13"),
            ("Upgrade", "websocket"),
            ("X-Amz-Date", date),
            ("X-Amz-Security-Token", current.session_token),
        ]
        return WebSocket.connect(base_url, f"{path}?{query}", headers, tls=self._tls, timeout=TIMEOUTS["ssmmessages"])

    def close(self) -> None:
        """Drop every connection for good, also under calls that wait."""
        with self._lock:
            self._closed = True
            channels = list(self._channels.values())
        for channel in channels:
            channel.end()

    # -- one JSON call

    def _json(
        self, service: str, operation: str, payload: dict[str, Any], headers_for: "_Dress", *, lane: str = ""
    ) -> dict[str, Any]:
        body = go_json(payload).encode()
        target = f"{PREFIXES[service]}.{operation}"
        failure: CallFailed | None = None
        for low, high in (*RETRY_PAUSES_SECONDS, (0.0, 0.0)):
            try:
                return self._once(service, target, body, headers_for, lane)
            except CallFailed as error:
                if not _worth_repeating(error):
                    raise
                failure = error
            if self._closed:
                break
            if high:
                self._pause(random.uniform(low, high))  # noqa: S311 - spreads retries, guards nothing
        assert failure is not None
        raise failure

    def _once(self, service: str, target: str, body: bytes, headers_for: "_Dress", lane: str) -> dict[str, Any]:
        channel = self._channel(service, lane)
        headers, sent = headers_for(channel.host, target, body)
        try:
            answer = channel.exchange("POST", "/", headers, sent)
        except (OSError, http.client.HTTPException) as error:
            url = f"{self._configuration.endpoint(service, self._region)}/"
            raise CallFailed("RequestError", f'send request failed\ncaused by: Post "{url}": {error}') from error
        parsed: dict[str, Any] = _parsed(answer.body)
        if answer.status < 300:
            return parsed
        code = str(parsed.get("__type", "UnknownError")).rpartition("#")[2]
        message = str(parsed.get("message", parsed.get("Message", "")))
        raise CallFailed(code, message, status=answer.status, request_id=answer.request_id)

    def _channel(self, service: str, lane: str = "") -> Channel:
        with self._lock:
            found = self._channels.get((service, lane))
            if found is None:
                url = self._configuration.endpoint(service, self._region)
                found = Channel(url, self._tls, timeout=TIMEOUTS[service])
                self._channels[service, lane] = found
                if self._closed:
                    found.end()
        return found

    # -- the three ways to dress a request

    def _anonymous(self, host: str, target: str, body: bytes) -> tuple[HeaderList, bytes]:
        return [
            ("Host", host),
            ("User-Agent", USER_AGENT),
            ("Content-Length", str(len(body))),
            ("Content-Type", JSON),
            ("X-Amz-Target", target),
            ("Accept-Encoding", "gzip"),
        ], body

    def _with_key(self, node_id: str, key: NodeKey) -> "_Dress":
        def dress(host: str, target: str, body: bytes) -> tuple[HeaderList, bytes]:
            date = self._stamp()
            signed = [("content-type", JSON), ("host", host), ("x-amz-date", date), ("x-amz-target", target)]
            auth = self._authorize(
                service="ssm", signed=signed, body=body, date=date, credential=node_id, sign=key.sign
            )
            return [
                ("Host", host),
                ("User-Agent", USER_AGENT),
                ("Transfer-Encoding", "chunked"),
                ("Authorization", auth),
                ("Content-Type", JSON),
                ("X-Amz-Content-Sha256", hashlib.sha256(body).hexdigest()),
                ("X-Amz-Date", date),
                ("X-Amz-Target", target),
                ("Accept-Encoding", "gzip"),
            ], chunked(body)

        return dress

    def _with_token(self, service: str, token: Callable[[], Token]) -> "_Dress":
        def dress(host: str, target: str, body: bytes) -> tuple[HeaderList, bytes]:
            current, date, length = token(), self._stamp(), str(len(body))
            signed = [
                ("content-length", length),
                ("content-type", JSON),
                ("host", host),
                ("x-amz-date", date),
                ("x-amz-security-token", current.session_token),
                ("x-amz-target", target),
            ]
            auth = self._authorize(
                service=service,
                signed=signed,
                body=body,
                date=date,
                credential=current.access_key,
                sign=hmac_sign(current.secret_key),
            )
            return [
                ("Host", host),
                ("User-Agent", USER_AGENT),
                ("Content-Length", length),
                ("Authorization", auth),
                ("Content-Type", JSON),
                ("X-Amz-Date", date),
                ("X-Amz-Security-Token", current.session_token),
                ("X-Amz-Target", target),
                ("Accept-Encoding", "gzip"),
            ], body

        return dress

    def _authorize(
        self,
        *,
        method: str = "POST",
        service: str,
        path: str = "/",
        query: str = "",
        signed: HeaderList,
        body: bytes,
        date: str,
        credential: str,
        sign: Sign,
    ) -> str:
        scope = f"{date[:8]}/{self._region}/{service}/aws4_request"
        return authorization(
            method=method,
            path=path,
            query=query,
            signed=signed,
            body=body,
            date=date,
            scope=scope,
            credential=credential,
            sign=sign,
        )

    def _stamp(self) -> str:
        return self._now().strftime("%Y%m%dT%H%M%SZ")


_Dress = Callable[[str, str, bytes], tuple[HeaderList, bytes]]


def _worth_repeating(error: CallFailed) -> bool:
    return error.code in THROTTLED or error.code in EXPIRED or error.code == "RequestError" or error.status >= 500


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body or b"{}")
    except ValueError:
        return {"__type": "SerializationError", "message": "failed decoding JSON-RPC response"}
    return parsed if isinstance(parsed, dict) else {}
