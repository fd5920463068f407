package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tickstorm/tickstorm/internal/redact"
	"github.com/tickstorm/tickstorm/sink"
)

// SchemaError is that a table which is there is not one for the engine's rows. Nothing was changed.
type SchemaError struct {
	// Table is the table's name as it is written in SQL.
	Table string
	// Kind is what stands under the name if it is no table, such as "view"; else "".
	Kind string
	// Missing are the columns that it lacks.
	Missing []string
	// Differ are the columns of another type, each with both types.
	Differ []string
	// Required are columns that are nobody's here, may not be NULL and have no default.
	Required []string
	// Key are the columns that no two rows may have alike, where no primary key and no unique index
	// says so.
	Key []string
}

// Error names the table and all that is wrong with it.
func (e *SchemaError) Error() string {
	var list []string
	if e.Kind != "" {
		list = append(list, "it is a "+e.Kind)
	}
	if len(e.Missing) > 0 {
		list = append(list, "it lacks the columns "+strings.Join(e.Missing, ", ")+" (AddColumns adds those that may be NULL)")
	}
	if len(e.Differ) > 0 {
		list = append(list, "of another type are "+strings.Join(e.Differ, ", "))
	}
	if len(e.Required) > 0 {
		list = append(list, "no value is there for "+strings.Join(e.Required, ", ")+", which have no default and may not be NULL")
	}
	if len(e.Key) > 0 {
		list = append(list, "no primary key or unique index is on "+strings.Join(e.Key, ", "))
	}
	return fmt.Sprintf("postgres: the table %s cannot take these rows: %s", e.Table, strings.Join(list, "; "))
}

// Errors of the tables' layout.
var (
	// ErrTimescale: [Hypertable] was chosen, and the database has no TimescaleDB.
	ErrTimescale = errors.New("postgres: the database does not have the extension timescaledb")
	// ErrPartition: a partition cannot be made, since a table has its name that is not one.
	ErrPartition = errors.New("postgres: a table with the name of a partition is not one")
)

// ServerError is an error of the server, or of a connection to it, without the password.
type ServerError struct {
	// Code is the SQLSTATE, such as "53100"; "" if the server did not say the error.
	Code string
	text string
	err  error // nil if it may hold a password
}

// Error is what was said.
func (e *ServerError) Error() string { return "postgres: " + e.text }

// Unwrap returns the [*pgconn.PgError], or the error of a context that has ended, nil if there is none.
func (e *ServerError) Unwrap() error { return e.err }

// serverError takes the password out of an error: errors of a connection have its configuration.
func serverError(err error, password string) *ServerError {
	e := &ServerError{text: redact.String(err.Error(), password)}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		e.Code = pg.Code
		if pg.Detail != "" && !strings.Contains(e.text, pg.Detail) {
			e.text += ": " + redact.String(pg.Detail, password)
		}
		if redact.Index(fmt.Sprintf("%v", *pg), password) < 0 {
			e.err = pg
		}
		return e
	}
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, end) {
			e.err = end
		}
	}
	return e
}

// verdict is what follows of an error.
type verdict uint8

const (
	again  verdict = iota // another try may mend it, on another connection
	poison                // a row of the batch is at fault
	never                 // nothing but a human mends it
)

// judge says what follows of a code, of those that https://www.postgresql.org/docs/current/errcodes-appendix.html lists.
func judge(pg *pgconn.PgError) verdict {
	switch pg.Code {
	case "22P03", "22P04": // data that the server cannot read as COPY: nothing of a row's
		return never
	case "23514":
		if pg.ConstraintName == "" { // no partition takes the row: it was dropped meanwhile
			return again
		}
	case "25006": // a read-only transaction: a standby, which may be promoted
		return again
	case "42P01", "42703", "42804", "42P10", "42P07", "42P06", "42710": // a table was dropped, changed or made meanwhile: the next look says how it is
		return again
	}
	switch pg.Code[:min(2, len(pg.Code))] {
	case "22", "23", "44", "54", "P0": // data, constraints, checks of views, limits, what a trigger raises
		return poison
	case "28", "3D", "3F", "42", "0A", "0L", "0P": // who, database, schema, rights and names, what this server cannot do
		return never
	}
	return again // of 08, 40, 53, 55, 57, 58, XX, and of what is new
}

// settle makes of an error what the runner needs to know, and reports whether the connection can be
// used again.
func settle(err error, password string) (_ error, usable bool) {
	if !sink.Retryable(err) {
		return err, true
	}
	var schema *SchemaError
	if errors.As(err, &schema) || errors.Is(err, ErrTimescale) || errors.Is(err, ErrPartition) {
		return sink.Permanent(err), false
	}
	e := serverError(err, password)
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch judge(pg) {
		case poison:
			return sink.Poison(-1, e), true
		case never:
			return sink.Permanent(e), false
		}
	}
	return e, false
}
