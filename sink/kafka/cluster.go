package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Cluster says where Kafka is, and who one is there.
type Cluster struct {
	// Brokers are where the cluster is looked for, such as 10.0.0.1:9092. They are required.
	Brokers []string
	// TLS encrypts the connections; nil does not.
	TLS *tls.Config
	// Auth is who one is; the zero one is nobody.
	Auth Auth
	// Options are others of the client library's, such as a dialer, or mechanisms that Auth does not
	// have. What order and idempotence rest on they cannot change: an engine refuses those that do.
	Options []kgo.Opt
}

// Auth is a name and a password. Nothing prints the password.
type Auth struct {
	// Mechanism is one of Mechanisms; "" is no authentication.
	Mechanism string
	User      string
	Password  string `json:"-"`
}

// Mechanisms are those of SASL that an [Auth] has. PLAIN tells the password to whoever listens, and
// needs TLS but on the machine itself.
func Mechanisms() []string { return []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} }

// String says all but the password.
func (a Auth) String() string {
	if a.Mechanism == "" {
		return "none"
	}
	return a.Mechanism + " " + a.User
}

// GoString is String.
func (a Auth) GoString() string { return a.String() }

// LogValue implements [slog.LogValuer].
func (a Auth) LogValue() slog.Value { return slog.StringValue(a.String()) }

// metadataAge is how long at least between two looks at who leads what.
const metadataAge = 250 * time.Millisecond

// options are those of any client.
func (c *Cluster) options(log *slog.Logger) ([]kgo.Opt, error) {
	if len(c.Brokers) == 0 {
		return nil, errors.New("kafka: no Brokers")
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...), kgo.ClientID("tickstorm"), kgo.WithLogger(logger{log}), kgo.MetadataMinAge(metadataAge),
	}
	if c.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(c.TLS.Clone()))
	}
	switch a := c.Auth; a.Mechanism {
	case "":
		if a.User != "" || a.Password != "" {
			return nil, fmt.Errorf("kafka: a User without a Mechanism, such as %s", strings.Join(Mechanisms(), ", "))
		}
	case "PLAIN":
		mechanism := plain.Auth{User: a.User, Pass: a.Password}.AsMechanism()
		if c.TLS == nil {
			for _, b := range c.Brokers {
				if !local(b) {
					return nil, errClear
				}
			}
			mechanism = inClear{mechanism}
		}
		opts = append(opts, kgo.SASL(mechanism))
	case "SCRAM-SHA-256":
		opts = append(opts, kgo.SASL(scram.Auth{User: a.User, Pass: a.Password}.AsSha256Mechanism()))
	case "SCRAM-SHA-512":
		opts = append(opts, kgo.SASL(scram.Auth{User: a.User, Pass: a.Password}.AsSha512Mechanism()))
	default:
		return nil, fmt.Errorf("kafka: a Mechanism of %q; there are %s", a.Mechanism, strings.Join(Mechanisms(), ", "))
	}
	return append(opts, c.Options...), nil
}

// Ping asks whether the cluster is there, and accepts who asks: see [Refused].
func (c *Cluster) Ping(ctx context.Context) error {
	opts, err := c.options(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	defer cl.Close()
	if err := cl.Ping(ctx); err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	return nil
}

// errClear: nobody is told a password that others on the way can read.
var errClear = errors.New("kafka: PLAIN without TLS tells the password to whoever listens; use SCRAM-SHA-512, or TLS")

// inClear is a mechanism that tells the password as it is, to brokers on this machine only: those that a
// cluster names are others than those where it is looked for.
type inClear struct{ sasl.Mechanism }

// Authenticate implements [sasl.Mechanism].
func (m inClear) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	if !local(host) {
		return nil, nil, fmt.Errorf("%w: the cluster has a broker at %s", errClear, host)
	}
	return m.Mechanism.Authenticate(ctx, host)
}

// local reports whether a broker is on this machine.
func local(broker string) bool {
	host, _, err := net.SplitHostPort(broker)
	if err != nil {
		host = broker
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// refusals are what no other try mends.
var refusals = []error{
	errClear,
	kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState,
	kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed,
	kerr.TransactionalIDAuthorizationFailed, kerr.InvalidGroupID, kerr.InvalidSessionTimeout, kerr.InconsistentGroupProtocol,
}

// Refused reports whether an error is that the cluster refuses who asks, or what for: no other try
// will mend that.
func Refused(err error) bool { return isAny(err, refusals) }

// isAny reports whether an error is one of some.
func isAny(err error, some []error) bool {
	return slices.ContainsFunc(some, func(e error) bool { return errors.Is(err, e) })
}

// logger has the client library's warnings in a logger of ours; the rest of what it says is of use
// to its authors.
type logger struct{ log *slog.Logger }

// Level implements [kgo.Logger].
func (l logger) Level() kgo.LogLevel { return kgo.LogLevelWarn }

// Log implements [kgo.Logger].
func (l logger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	if level == kgo.LogLevelError {
		l.log.Warn("kafka: "+msg, keyvals...)
		return
	}
	l.log.Info("kafka: "+msg, keyvals...)
}
