package dialogue

// What the vendor's server says, in its words.
var (
	// Greeting is the first message of a connection, by itself.
	Greeting = Status{"connected", "Connected Successfully"}
	// AuthSuccess answers a good key. Nothing may stand before it in its message: there are
	// clients that look no further.
	AuthSuccess = Status{"auth_success", "authenticated"}
	// AuthFailed answers a bad key.
	AuthFailed = Status{"auth_failed", "authentication failed"}
	// NoPlan answers a key whose plan lacks the market.
	NoPlan = Status{"auth_failed", "Your plan doesn't include websocket access. Visit https://massive.com/pricing to upgrade."}
	// AuthTimeout: no key came in time.
	AuthTimeout = Status{"auth_timeout", "No authentication request received."}
	// NotAuthorized refuses one topic, without saying which.
	NotAuthorized = Failure("not authorized")
	// SubscriptionLimit refuses one of the topics of a request that is refused whole.
	SubscriptionLimit = Failure("Subscription limit reached for feed. Please remove some subscriptions and try again.")
	// NotRealTime answers requests of a plan with delayed data only.
	NotRealTime = Failure("You don't have access real-time data. If your plan only includes delayed data, " +
		"you can connect to the delayed websocket at wss://delayed.polygon.io/stocks.")
	// MaxConnections tells a connection that it is one too many. The space is the vendor's.
	MaxConnections = Status{"max_connections", "Maximum number of websocket connections exceeded. "}
)

// Failure is an error in these words.
func Failure(text string) Status { return Status{"error", text} }

// Success is an acknowledgement in these words.
func Success(text string) Status { return Status{"success", text} }

// Subscribed acknowledges a topic, in the spelling of the request.
func Subscribed(topic string) Status { return Success("subscribed to: " + topic) }

// Unsubscribed acknowledges the end of a topic, in the spelling of the request.
func Unsubscribed(topic string) Status { return Success("unsubscribed to: " + topic) }
