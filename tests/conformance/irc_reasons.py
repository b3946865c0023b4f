"""What irctest asks for and a server of ours does not do, and why."""

from __future__ import annotations

OPERATORS = "channels have no operators: nobody is above others, so there are no modes to set"
OPERS = "the server has no operators"
GONE = "it is not kept who was here"
INVITES = "every channel is open to everybody, so that nobody needs an invitation"
REGISTERED = "who logs in has the name of the account, which is the user's own, not another nick"
EMOJI = "what is no emoji cannot be given to a message"
LINES = "a message is kept as one text: where its sender broke a long line is not"
REASON = "a message is taken back without a reason"
TOKEN = "the password is a token, by which the server knows the user: no two have the same"
ALONE = "nobody has a room with themselves, in which it could be kept"
BEGUN = "it is not kept when a room was entered first (329)"

REASONS = {
    "chathistory.py::ChathistoryTestCase::testMessagesToSelf": ALONE,
    "chmodes/ban.py::BanModeTestCase::*": OPERATORS,
    "chmodes/key.py::KeyTestCase::*": OPERATORS,
    "chmodes/limit.py::LimitTestCase::*": OPERATORS,
    "chmodes/modeis.py::RplChannelModeIsTestCase::testChannelModeIs": BEGUN,
    "chmodes/moderated.py::ModeratedModeTestCase::testModeratedMode": OPERATORS,
    "chmodes/no_external.py::NoExternalMessagesTestCase::*": OPERATORS,
    "chmodes/operator.py::ChannelOperatorModeTestCase::*": OPERATORS,
    "chmodes/secret.py::SecretChannelTestCase::*": OPERATORS,
    "info.py::InfoTestCase::testInfo": OPERS,
    "invite.py::InviteTestCase::*": INVITES,
    "kick.py::KickTestCase::testKickPrivileges": OPERATORS,
    "kill.py::KillTestCase::testKill": OPERS,
    "labeled_responses.py::LabeledResponsesTestCase::testLabeledTagMsgResponsesTo*": EMOJI,
    "multi_prefix.py::MultiPrefixTestCase::*": OPERATORS,
    "multiline.py::MultilineTestCase::testBasic": LINES,
    "multiline.py::MultilineTestCase::testBlankLines*": LINES,
    "names.py::NamesTestCase::*": OPERATORS,
    "oper.py::OperTestCase::testOperSuccess": OPERS,
    "redact.py::RedactTestCase::testOpRedactOthersPrivmsg": OPERATORS,
    "redact.py::RedactTestCase::testRedactWithReason": REASON,
    "sasl.py::SaslTestCase::testPlain": TOKEN,
    "sasl.py::SaslTestCase::testPlainNoAuthzid": TOKEN,
    "topic.py::TopicTestCase::testTopicMode": OPERATORS,
    "topic.py::TopicPrivilegesTestCase::testTopicPrivileges": OPERATORS,
    "wallops.py::WallopsTestCase::testWallops": OPERS,
    "who.py::WhoServicesTestCase::testWhoxAccount": REGISTERED,
    "who.py::WhoTestCase::testWhoChan*": OPERATORS,
    "who.py::WhoTestCase::testWhoNick*": OPERATORS,
    "who.py::WhoTestCase::testWhoStar": OPERATORS,
    "whois.py::ServicesWhoisTestCase::testWhoisAccount": REGISTERED,
    "whois.py::ServicesWhoisTestCase::testWhoisNumerics*": REGISTERED,
    "whois.py::WhoisTestCase::testWhoisNumerics*oper*": OPERS,
    "whowas.py::WhowasTestCase::*": GONE,
}
"""Tests that fail, as a shell would write them, and the reason."""
