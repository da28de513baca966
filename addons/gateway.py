"""The chain of addons, in order: the file that mitmdump loads. Nothing else is in it."""

from addons.auth import AuthGate
from addons.discreet import Discreet
from addons.drain import Drain
from addons.endpoints import Endpoints
from addons.failover import Failover
from addons.hooks import Hooks
from addons.keeper import Keeper
from addons.layer import AttemptLoop
from addons.lean import Lean
from addons.ledger import Ledger
from addons.oauth import OAuthRotator
from addons.reload import HOME, Reload, settings
from addons.replay import Replay
from addons.router import ModelRouter
from addons.startup import Startup
from addons.store import Store
from addons.thinking import ThinkingStripper
from addons.threads import Threads
from addons.tickets import Tickets
from addons.trail import Trail
from addons.translator import Translator
from addons.turns import Turns
from addons.views import Views
from addons.watch import Watch, stream_class
from addons.web import WebPage
from addons.welcome import Welcome

_settings = settings()
_hooks = Hooks()
_store = Store(HOME / ".gateway.db")
_tickets = Tickets()

addons = [
    Startup(),
    Lean(),
    Discreet(_settings),
    Reload(_settings),
    _hooks,
    Turns(),
    AttemptLoop(stream_class, _hooks.call),
    AuthGate(_settings, _tickets),
    Drain(),
    Endpoints(),
    ModelRouter(),
    Threads(),
    OAuthRotator(_settings, _store),
    ThinkingStripper(),
    Translator(),
    Failover(),
    Ledger(_store),
    Trail(),
    Views(),
    Watch(),
    Keeper(),
    Replay(_settings, _tickets),
    WebPage(),
    Welcome(),
]
