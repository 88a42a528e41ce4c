"""The vocabulary of errors: what servers call them by name, and what they say of them.

Data only, and of no single vendor: what one of them says differently stands in the `errors` of its facts.
"""

from __future__ import annotations

from collections.abc import Mapping

from .. import errors as e

__all__ = [
    "BARE",
    "CODES",
    "DAY",
    "MINUTE",
    "MONEY",
    "NEVER_WAS",
    "OVERLOADED",
    "SERVERS_FAULT",
    "SPENT",
    "STATUS_OF_NAME",
    "TOO_FAST",
    "UNSETTLED",
    "UNSUPPORTED",
    "VAGUE_CODES",
    "WORDS",
]


def _named(**classes: str) -> dict[str, type[e.ChatportError]]:
    return {word: getattr(e, name) for name, words in classes.items() for word in words.split()}


CODES: Mapping[str, type[e.ChatportError]] = _named(
    AuthenticationError="""
        apikeyexpired apikeyinvalid authenticationerror authenticationfailed authorizederror expiredapikey expiredtoken
        expiredtokenexception incorrectapikey incorrectapikeyerror invalidapikey invalidauthentication
        invalidauthenticationerror invalidkey invalidtoken missingapikey missingauthenticationtoken
        missingauthenticationtokenexception tokenexpired unauthorized unrecognizedclientexception wrongapikey
        invalidsignatureexception invalidclienttokenid""",
    PermissionDeniedError="""
        permissionerror apikeyserviceblocked consumersuspended servicedisabled organizationrestricted
        unsupportedcountryregionterritory accessdeniedexception""",
    QuotaExceededError="""
        accountnotactive arrearage billingerror billinghardlimitreached billingnotactive budgetexceeded
        creditbalanceexhausted creditsexhausted dailylimitexceeded exceededbudget
        exceededcurrentquotaerror insufficientbalance insufficientcredits insufficientfunds insufficientquota
        insufficientuserquota organizationspendlimitexceeded organizationusagelimitexceeded outofcredits
        paymentrequired projectspendlimitexceeded quotaexceeded quotaexhausted servicequotaexceededexception
        spendlimitexceeded usagelimitexceeded usagelimitreached""",
    ModelNotFoundError="""
        deploymentnotfound invalidmodel invalidmodelname modeldecommissioned modeldoesnotexist modelnotavailable
        modelnotexist modelnotfound modelnotfounderror modelnotsupported modelretired nosuchmodel
        resourcenotfoundexception unknownmodel unsupportedmodel""",
    ContextLengthError="""
        contextlengthexceeded contextlimitexceeded contextoverflow contextsizeexceeded contextwindowexceeded
        contextwindowexceedederror exceedcontextsizeerror inputtoolong maxcontextlengthexceeded
        maxprompttokensexceeded maxtokensperrequest modelcontextwindowexceeded modelmaxprompttokensexceeded
        prompttoolong tokenlimitexceeded""",
    ContentFilterError="""
        contentblocked contentfilter contentfiltered contentmoderation contentpolicyviolation
        contentpolicyviolationerror contentsafety datainspectionfailed guardrailintervened inputmoderation
        moderationblocked outputmoderation promptblocked responsibleaipolicyviolation""",
    RateLimitError="""
        limitrequests ratelimit ratelimited ratelimiterror ratelimitexceeded ratelimitreached ratelimitreachederror
        requestlimitexceeded requestquotaexceeded requestratelimitexceeded slowdown throttled throttling
        throttlingexception tokenquotaexceeded toomanyrequests toomanyrequestserror toomanyrequestsexception
        userglobalratelimited""",
    OverloadedError="""
        capacityexceeded engineoverloaded engineoverloadederror insufficientsystemresource modelnotreadyexception
        modeloverloaded overloadederror queueexceeded serverisoverloaded
        serviceunavailableerror serviceunavailableexception unavailableerror""",
    ServerError="cancelled internalserverexception modelerrorexception modelstreamerrorexception modeltimeoutexception",
    UnsupportedFeatureError="notsupportederror operationnotsupported unimplemented",
)
"""Names by which an error is settled, as letters and digits alone."""

VAGUE_CODES: Mapping[str, type[e.ChatportError]] = _named(
    AuthenticationError="unauthenticated",
    PermissionDeniedError="accessdenied failedprecondition forbidden permissiondenied permissiondeniederror",
    ModelNotFoundError="notfound",
    RateLimitError="resourceexhausted",
    OverloadedError="unavailable",
    ServerError="deadlineexceeded internal",
)
"""Names that say no more than a status would: the words beside them know better, and so does a status that is exact."""

STATUS_OF_NAME: Mapping[str, int] = {
    **dict.fromkeys(("badrequest", "badrequesterror", "invalidargument", "invalidrequesterror", "outofrange"), 400),
    **dict.fromkeys(("validationexception", "validationerror"), 400),
    **dict.fromkeys(("unauthenticated",), 401),
    **dict.fromkeys(("accessdenied", "failedprecondition", "forbidden", "permissiondenied"), 403),
    **dict.fromkeys(("notfound", "notfounderror"), 404),
    "resourceexhausted": 429,
    "cancelled": 499,
    **dict.fromkeys(("aborted", "apierror", "dataloss", "internal", "internalerror"), 500),
    **dict.fromkeys(("internalservererror", "servererror"), 500),
    "unavailable": 503,
    **dict.fromkeys(("deadlineexceeded", "timeouterror"), 504),
}
"""The status that a name stands for, where an error inside a 200 tells no number."""

SERVERS_FAULT = (
    r"\b(?:internal|server|system|service) (?:server )?(?:error|failure)\b|server had an (?:internal )?error"
    r"|bad gateway|retry later|(?:try|retry) (?:again|your request) later|please retry"
)
"""What no answer to a wrong request says: inside a 200 it goes before the type, which some servers give to all errors.

"Download timed out" is not among it, since that may well be the fault of an address.
"""

UNSETTLED = frozenset({400, 403, 404, 412, 413, 415, 416, 422, 500})
"""Statuses so general that the wording may overrule them. A 401 or a 503 says what it is."""

MONEY: tuple[str, ...] = (
    r"insufficient[ _](?:account |user )?(?:balance|credits?|funds|quota)|balance (?:is )?(?:too low|insufficient)",
    r"credit balance is too low|requires more credits|out of credits",
    r"\bno (?:remaining |more )?credits (?:left|remaining)",
    r"credits? (?:have been |has been |are |is )?(?:exhausted|depleted|used up)|depleted your|account is not active",
    r"(?:all|used your|exceeded your|included) (?:available |monthly |included ){0,3}credits",
    r"(?:spend|spending|billing|usage|budget) (?:hard )?(?:limit|cap)s?\b.{0,40}\b(?:reach|exceed|hit)",
    r"(?:reached|exceeded|hit|over)\b.{0,40}\b(?:spend|spending|billing|usage|budget) (?:hard )?(?:limit|cap)",
    r"budget (?:has been |is )?exceeded|exceeded ?budget|over budget|crossed budget|payment (?:is )?required",
    r"past invoices|overdue (?:payment|bill|invoice|balance)|(?:bill|invoice|payment)s? (?:is |are )?overdue",
    r"in arrears|please (?:recharge|top up)|top up your|余额不足|欠费|请充值",
    r"account .{0,40}\bsuspended due to|reached your specified .{0,20}usage limits",
)
"""No money is left."""
SPENT = r"exceeded your current quota|quota (?:is |has been |was )?(?:exhausted|used up)"
"""An allowance that is spent, of money or of calls."""
NEVER_WAS = r"\blimit: 0\b"
"""An allowance of nothing."""
DAY = r"per[ _-]?(?:day|week|month)|(?<![a-z])(?:daily|weekly|monthly)(?![a-z])|free allocat|\b1/d\b"
"""A period that no call outlasts."""
MINUTE = r"per[ _-]?(?:second|minute|min|hour)|(?<![a-z])(?:i|o)?(?:rpm|tpm|rps)(?![a-z])"
"""A period that passes."""

WORDS: tuple[tuple[type[e.ChatportError], tuple[str, ...]], ...] = (
    (
        e.ContentFilterError,
        (
            r"content (?:policy|policies|filter|management policy|moderation|exists risk)|safety system",
            r"responsible ai policy|(?:was|were|been|is) flagged|flagged (?:as|by|for)|considered high risk",
            r"violat\w{0,5} .{0,40}\b(?:usage|content|safety|use) polic|filtered due to|prohibited content|敏感",
            r"(?:harmful|inappropriate|sensitive|unsafe) (?:content|words|information|material)",
            r"blocked by .{0,40}\b(?:moderation|safety|guardrail)",
        ),
    ),
    (
        e.QuotaExceededError,
        (
            *MONEY,
            SPENT,
            r"\bquota (?:limit )?(?:is |has been |was )?exceeded|exceeded (?:your |the )?(?:\w{1,20} )?quota",
        ),
    ),
    (
        e.PermissionDeniedError,
        (
            r"\b(?:location|country|region|territory)\b.{0,40}\bnot supported|temporarily blocked",
            r"(?:does not|do not|don't) have (?:access|permission) to (?:the |this )?model\b",
            r"\bplan (?:does |do )?not (?:support|include|cover)|account (?:is|has been) (?:banned|blocked)",
            r"not (?:included|available|covered) (?:in|on|with|by) your (?:current )?(?:plan|tier|subscription)",
            r"\bnot authorized to (?:use|access|invoke|perform)",
        ),
    ),
    (
        e.ModelNotFoundError,
        (
            r"\b(?:model|deployment)\b.{0,80}?\b(?:does not exist|doesn't exist|not exist|not found|is not available)",
            r"\b(?:model|deployment)\b.{0,80}?\b(?:could not be found|is not a valid|no longer available)",
            r"\bmodel\b.{0,80}?\b(?:decommissioned|not supported by any|has been (?:deprecated|retired)|end of life)",
            r"(?:unknown|no such|not supported|unsupported) model\b|supported (?:api )?model(?: name)?s are\b",
            r"invalid model\b|not a valid model|unable to access model|requested model is not supported",
            r"(?:find|locate) (?:the )?model\b",
        ),
    ),
    (
        e.AuthenticationError,
        (
            r"(?:incorrect|invalid|missing|wrong|no|expired) (?:api[ -]?key|x-api-key|authentication|credential)",
            r"(?:incorrect|invalid|missing|wrong|no|expired) (?:access token|bearer token|auth token)",
            r"\bapi[ -]?key\b.{0,20}\b(?:not valid|invalid|incorrect|expired|missing|required|not found)",
            r"\bvalid api[ -]?key\b|authentication (?:fail|error)|security token .{0,40}invalid|login fail",
            r"token (?:is |has )(?:invalid|expired)",
        ),
    ),
)
"""Wordings, in small letters; the first class of which one is found counts.

Compiled on first use by `re` itself: an import must stay cheap.
"""

_CAPABILITY = (
    r"(?:tools?|tool (?:calling|use)|function calling|functions?|images?|image input|image_url|vision|audio|video"
    r"|multi-?modal|structured outputs?|json[_ ]schema|response format|logprobs|streaming|thinking)"
)
UNSUPPORTED: tuple[str, ...] = (
    rf"(?:does not|doesn't|do not|not) supports? (?:the |any |this |using )?[`'\"]?{_CAPABILITY}\b",
    rf"\b{_CAPABILITY}[`'\"]? (?:inputs? |parts? )?(?:is|are) not (?:supported|enabled|available)",
    rf"\b{_CAPABILITY} (?:inputs? )?not support",
)
"""What a model cannot do, of the few things that are asked of it."""
OVERLOADED: tuple[str, ...] = (
    r"overloaded|(?:at|over|no|out of|exceeded|insufficient) capacity|capacity (?:temporarily )?exceeded",
    r"experiencing (?:high|heavy|increased) (?:demand|load|traffic)|high traffic|too busy|(?:engine|server) is busy",
)
"""No room now, in words that a 429 may come with."""
TOO_FAST = r"rate[ _-]?limits? (?:is |was |has been )?(?:exceeded|reached|hit)|too many requests|throttling"
"""A limit that was met, for a status that says another thing."""
BARE: tuple[tuple[type[e.ChatportError], str], ...] = (
    (e.RateLimitError, r"rate[ _-]?limit|too many requests|throttl"),
    (e.OverloadedError, r"overloaded|(?:at|over|no|out of) capacity|service (?:is )?(?:\w{1,20} )?unavailable"),
    (e.AuthenticationError, r"\bunauthori[sz]ed\b|\bunauthenticated\b"),
    (e.PermissionDeniedError, r"\bforbidden\b|(?:permission|access) denied"),
    (e.ServerError, r"internal (?:server )?error|\btimed out\b|\bbad gateway\b"),
    (e.BadRequestError, r"bad request|invalid (?:request|param|argument|value)|validation error|field required"),
)
"""What a status would say, for an error inside a 200 that names none."""
