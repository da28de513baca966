"""The chain of addons, in order: the file that mitmdump loads. Nothing else is in it."""

from functools import partial

from addons.accounts import Accounts
from addons.auth import AuthGate
from addons.config.reload import Reload
from addons.config.settings import HOME, settings
from addons.endpoints import Endpoints
from addons.failover import Failover
from addons.ledger import Ledger
from addons.limits import BudgetDisplay, Limits
from addons.oauth import OAuthRotator
from addons.process.control_channel import ControlChannel
from addons.process.credentials import Credentials
from addons.process.drain import Drain
from addons.process.listening import Listening
from addons.process.log_masking import LogMasking
from addons.process.log_output import LogOutput
from addons.process.metrics import Metrics
from addons.process.page import Page
from addons.process.sharing import Sharing
from addons.process.startup import Startup
from addons.process.sums_sharing import SumsSharing
from addons.process.tuning import Tuning
from addons.process.user_watch import UserWatch
from addons.process.users_sharing import UsersSharing
from addons.process.web_pages import WebPages
from addons.process.welcome import Welcome
from addons.process.workers.inheritance import inherited
from addons.process.workers.worker import Worker
from addons.proxy.attempt_loop import AttemptLoop
from addons.proxy.client_handler import ClientHandlers
from addons.proxy.connection_limits import ConnectionLimits
from addons.proxy.fail_closed import fail_closed
from addons.proxy.hook_dispatch import HookDispatch
from addons.proxy.trusted_proxies import TrustedProxies
from addons.replay import Replay
from addons.router import ModelRouter
from addons.search import Search
from addons.state.control import Control
from addons.state.live_credentials import LiveCredentials
from addons.state.replay_tickets import Tickets
from addons.state.shared import Shared
from addons.state.store import Store
from addons.team.allowances import allowances
from addons.team.sign_in import SignIn
from addons.team.users import Users
from addons.team.wrong_keys import WrongKeys
from addons.thinking import ThinkingStripper
from addons.trail import Trail
from addons.translator import Translator
from addons.views.content_views import Views
from addons.views.flow_commands import FlowCommands
from addons.views.mitmweb import WebPage
from addons.views.recording import Recording, recorder
from addons.views.retention import Retention

_settings = settings()
_hooks = HookDispatch()
_store = Store(HOME / ".gateway.db")
_tickets = Tickets()
_control = Control()
_live = LiveCredentials()
_trusted = TrustedProxies()
_users = Users()
_wrong_keys = WrongKeys()
_startup = Startup()
_drain = Drain()
_shared = Shared()
_limits = Limits(_settings, shared=_shared)
_allowances = partial(allowances, _users, _limits.budgets, _limits.windows)
_sign_in = SignIn(_users, _wrong_keys, lambda: _control.secret)
_masking = LogMasking(_settings)
_accounts = Accounts(_settings, _store, live=_live, control=_control, shared=_shared)
_page = Page(_settings, _control, _sign_in, _drain.running_flows, _allowances, shared=lambda: _shared.status)

addons = fail_closed(
    [
        Listening(),
        _startup,
        _trusted,
        ConnectionLimits(_trusted),
        Tuning(),
        _masking,
        LogOutput(_masking.freed, inherited.number if inherited else None),
        Reload(_settings),
        Sharing(_settings, _shared, _wrong_keys),
        SumsSharing(_shared),
        _hooks,
        ClientHandlers(_hooks.call_of_connection, _startup.over),
        AttemptLoop(recorder, _hooks.call),
        UserWatch(_users, _control, _limits.forget),
        UsersSharing(_shared, lambda: _users.roll.version),
        AuthGate(_settings, _tickets, _control, _trusted, _users, _wrong_keys),
        _drain,
        _page,
        Metrics(_control, _drain.running_flows, _allowances),
        ControlChannel(_settings, _control),
        Endpoints(_shared),
        ModelRouter(_control, settings=_settings, store=_store, share=_limits.share, users=_users),
        _limits,
        Search(),
        Credentials(_settings, _live, shared=_shared),
        _accounts,
        OAuthRotator(),
        ThinkingStripper(),
        Translator(),
        Failover(control=_control),
        BudgetDisplay(_limits),
        Trail(),
        Ledger(_settings, _store, _control, _limits.budget_of, _drain.running_flows),
        Views(),
        FlowCommands(),
        Recording(),
        Retention(),
        Replay(_settings, _tickets),
        WebPage(),
        WebPages(_page, _accounts.commands),
        Welcome(_settings, _accounts.pools),
        Worker(inherited, _startup, _drain, _control),
    ]
)
