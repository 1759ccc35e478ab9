"""AWS::SNS: topics, their policies, subscriptions."""

import json
from collections.abc import Mapping
from typing import Any

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.cloudformation.shapes import DOCUMENT, TAGS, TEXT, ListOf, Struct
from localcloud.aws.cloudformation.tags import retag, tag_pairs, tags_of
from localcloud.aws.cloudformation.types import Place, ResourceType

Properties = Mapping[str, Any]


class Topic(ResourceType):
    """A topic."""

    name = "AWS::SNS::Topic"
    properties = Struct({"TopicName": TEXT, "DisplayName": TEXT, "KmsMasterKeyId": TEXT, "Tags": TAGS})
    replaced_by = frozenset({"TopicName"})
    attributes = frozenset({"TopicName", "TopicArn"})

    def create(self, place: Place, properties: Properties) -> Made:
        name = properties.get("TopicName") or place.name(limit=256)
        settings = {key: properties[key] for key in ("DisplayName", "KmsMasterKeyId") if key in properties}
        arn = place.client("sns").create_topic(Name=name, Attributes=settings, Tags=tag_pairs(tags_of(properties)))[
            "TopicArn"
        ]
        return Made(id=arn, attributes={"TopicName": name, "TopicArn": arn})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        client = place.client("sns")
        for key in ("DisplayName", "KmsMasterKeyId"):
            if old.get(key) != new.get(key):
                client.set_topic_attributes(TopicArn=made.id, AttributeName=key, AttributeValue=new.get(key, ""))
        retag(
            old,
            new,
            untag=lambda keys: client.untag_resource(ResourceArn=made.id, TagKeys=keys),
            tag=lambda tags: client.tag_resource(ResourceArn=made.id, Tags=tag_pairs(tags)),
        )
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        client = place.client("sns")
        for one in client.list_subscriptions_by_topic(TopicArn=made.id)["Subscriptions"]:
            if one["SubscriptionArn"].startswith("arn:"):
                client.unsubscribe(SubscriptionArn=one["SubscriptionArn"])
        client.delete_topic(TopicArn=made.id)


class TopicPolicy(ResourceType):
    """A policy on topics; removing it leaves the topic with its owner's rights."""

    name = "AWS::SNS::TopicPolicy"
    properties = Struct({"PolicyDocument": DOCUMENT, "Topics": ListOf(TEXT)}, required=("PolicyDocument", "Topics"))
    replaced_by = frozenset({"Topics"})

    def create(self, place: Place, properties: Properties) -> Made:
        self._put(place, properties["Topics"], properties["PolicyDocument"])
        return Made(id=place.name(limit=128))

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        self._put(place, new["Topics"], new["PolicyDocument"])
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        owner = {"StringEquals": {"AWS:SourceOwner": place.account}}
        for topic in properties["Topics"]:
            statement = {
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": ["SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:Publish", "SNS:Subscribe"],
                "Resource": topic,
                "Condition": owner,
            }
            document = {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
            client = place.client("sns")
            try:
                self._put(place, [topic], document)
            except client.exceptions.NotFoundException:
                continue

    def _put(self, place: Place, topics: list[str], document: Any) -> None:
        for topic in topics:
            place.client("sns").set_topic_attributes(
                TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(document)
            )


class Subscription(ResourceType):
    """A subscription of a topic."""

    name = "AWS::SNS::Subscription"
    properties = Struct(
        {"TopicArn": TEXT, "Protocol": TEXT, "Endpoint": TEXT}, required=("TopicArn", "Protocol", "Endpoint")
    )
    replaced_by = frozenset(properties.members)
    attributes = frozenset({"Arn"})

    def create(self, place: Place, properties: Properties) -> Made:
        arn = place.client("sns").subscribe(
            TopicArn=properties["TopicArn"],
            Protocol=properties["Protocol"],
            Endpoint=properties["Endpoint"],
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        return Made(id=arn, attributes={"Arn": arn})

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        place.client("sns").unsubscribe(SubscriptionArn=made.id)


TYPES: tuple[ResourceType, ...] = (Topic(), TopicPolicy(), Subscription())
