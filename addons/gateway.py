"""The chain of addons, in order: the file that mitmdump loads. Nothing else is in it."""

from addons.attempt import AttemptLoop
from addons.auth import AuthGate
from addons.endpoints import Endpoints
from addons.failover import Failover
from addons.ledger import Ledger
from addons.oauth import OAuthRotator
from addons.reload import HOME, Reload, settings
from addons.router import ModelRouter
from addons.store import Store
from addons.thinking import ThinkingStripper
from addons.trail import Trail

_settings = settings()
_store = Store(HOME / ".gateway.db")

addons = [
    Reload(_settings),
    AttemptLoop(),
    AuthGate(_settings),
    Endpoints(),
    ModelRouter(),
    OAuthRotator(_settings, _store),
    ThinkingStripper(),
    Failover(),
    Ledger(_store),
    Trail(),
]
