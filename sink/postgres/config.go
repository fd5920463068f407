package postgres

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Config says how an [Engine] works. Its zero value means what the comments say, but for Connection.
type Config struct {
	// Connection is where the database is and who asks for it, as [pgx.ParseConfig] makes it of a
	// URL, the PG* variables, a service file and a password file. The server is of version 12 or
	// newer, and a connection must stay with one session: a pooler that deals out transactions
	// cannot stand in between.
	Connection *pgx.ConnConfig
	// Schema is the namespace of the tables; default "tickstorm". It is made if there is none.
	Schema string
	// Prefix is what the tables' names begin with; default nothing.
	Prefix string
	// Layout is how tables that are made lie; default [Auto].
	Layout Layout
	// AddColumns has columns that tables lack added to them, as after an update of this package.
	// Without it they are a [*SchemaError].
	AddColumns bool
	// Patience is how long a batch may take, after which it is tried again; default 1 min.
	Patience time.Duration
	// Logger receives what is not an error and somebody should know; nil is silent.
	Logger *slog.Logger
}

// Layout is how the tables of events lie. Those of what is rare (statuses, unknown, gaps, segments)
// are plain tables in all of them.
type Layout uint8

const (
	// Auto is Hypertable where the database has the extension TimescaleDB, and Daily elsewhere.
	Auto Layout = iota
	// Plain is one table each.
	Plain
	// Daily is a partition for each day, UTC, by received_time, made when its first row comes: an old
	// day is dropped in a moment, and indexes do not outgrow memory. Received_time it is because
	// every row has it and it is the same however often the row comes, which the vendor's times are
	// not sure to be. Who makes partitions must own the tables; who only may insert wants Plain.
	// A table that is there and has other partitions by received_time, such as months, takes no days: the
	// server says that they overlap (42P17), and that ends the sink. Such a table is divided by days, or not at all.
	Daily
	// Hypertable is TimescaleDB's, in chunks of a day of received_time.
	Hypertable
)

var layoutNames = [...]string{"auto", "plain", "daily", "hypertable"}

// String returns the layout's name in lower case, such as "daily".
func (l Layout) String() string {
	if int(l) < len(layoutNames) {
		return layoutNames[l]
	}
	return fmt.Sprintf("layout %d", uint8(l))
}

// MarshalText returns what String does.
func (l Layout) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what String returns. Any other text is an [ErrConfig].
func (l *Layout) UnmarshalText(text []byte) error {
	for i, name := range layoutNames {
		if name == string(text) {
			*l = Layout(i)
			return nil
		}
	}
	return fmt.Errorf("%w: %.100q is no layout: write one of %s", ErrConfig, text, strings.Join(layoutNames[:], ", "))
}

// ErrConfig: a [Config] cannot be meant.
var ErrConfig = errors.New("postgres: config")

// maxName is how long a name of PostgreSQL's can be in bytes; maxSuffix is what is put before and
// behind a table's own in those of its partitions, indexes and staging table.
const (
	maxName   = 63
	maxSuffix = 24
)

func (c Config) withDefaults() (Config, error) {
	c.Schema = cmp.Or(c.Schema, "tickstorm")
	c.Patience = cmp.Or(c.Patience, time.Minute)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case int(c.Layout) >= len(layoutNames):
		return c, fmt.Errorf("%w: %v", ErrConfig, c.Layout)
	case c.Patience < 0:
		return c, fmt.Errorf("%w: a Patience of %v", ErrConfig, c.Patience)
	case len(c.Schema) > maxName || strings.ContainsRune(c.Schema, 0):
		return c, fmt.Errorf("%w: a Schema has %d bytes at most, and no zero byte", ErrConfig, maxName)
	case strings.HasPrefix(c.Schema, "pg_"):
		return c, fmt.Errorf("%w: the Schema %q is the server's own", ErrConfig, c.Schema)
	case strings.ContainsRune(c.Prefix, 0):
		return c, fmt.Errorf("%w: a Prefix with a zero byte", ErrConfig)
	}
	for _, t := range catalog() {
		if len(c.Prefix)+len(t.name)+maxSuffix > maxName {
			return c, fmt.Errorf("%w: a Prefix has %d bytes at most", ErrConfig, maxName-maxSuffix-len(t.name))
		}
	}
	return c, nil
}
