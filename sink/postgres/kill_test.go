package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/pgserver"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	"github.com/tickstorm/tickstorm/sink/postgres"
)

// toldConn has a line on standard output before each write.
type toldConn struct{ net.Conn }

func (c toldConn) Write(b []byte) (int, error) {
	fmt.Println("~")
	return c.Conn.Write(b)
}

// sinkMain is a process that sinks a folder to its end: URL, folder, file of the cursor.
func sinkMain(arguments []string) error {
	connection, err := pgx.ParseConfig(arguments[0])
	if err != nil {
		return err
	}
	dial := connection.DialFunc
	connection.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return toldConn{conn}, nil
	}
	e, err := postgres.NewEngine(postgres.Config{Connection: connection})
	if err != nil {
		return err
	}
	folder := sink.NewFolder(sink.FolderConfig{Paths: []string{arguments[1]}, Cursor: arguments[2], Save: 20 * time.Millisecond})
	r, err := sink.NewRunner(e, folder, sink.Config{MaxRows: 24, MinWait: 2 * time.Millisecond, MaxWait: 50 * time.Millisecond})
	if err != nil {
		return err
	}
	return errors.Join(r.Run(context.Background()), e.Close())
}

// taken is an engine that keeps what it is given, as the database has it.
type taken struct{ events, notices []string }

func (want *taken) Write(_ context.Context, b *sink.Batch) error {
	for i := range b.Rows {
		r := &b.Rows[i]
		if r.Notice != nil {
			want.notices = append(want.notices, r.ID.String()+" "+string(r.Notice.Kind))
			continue
		}
		_, q, _ := strings.Cut(string(r.Raw), `"q":`)
		want.events = append(want.events, r.ID.String()+" "+r.Symbol+" "+strings.TrimSuffix(q, "}"))
	}
	return nil
}

// segments records numbered trades of some symbols, with gaps, in several segments.
func segments(t *testing.T, count, messages int) (dir string, want taken) {
	t.Helper()
	dir = t.TempDir()
	symbols := []string{"AAPL", "BRK.B", "MSFT", "A'B", "Z"}
	next := 0
	for range count {
		rec := newRecorder(t, dir, tickstorm.Stocks)
		for i := range messages {
			var elements []string
			for range 3 {
				elements = append(elements, fmt.Sprintf(`{"ev":"T","sym":%q,"p":1.5,"q":%d}`, symbols[next%len(symbols)], next))
				next++
			}
			rec.OnMessage([]byte("["+strings.Join(elements, ",")+"]"), time.Now().UnixNano())
			if i%50 == 25 {
				rec.OnGap(&tickstorm.Gap{From: tickstorm.Moment{Received: time.Now()}, Cause: errors.New("EOF")})
			}
		}
		require.NoError(t, rec.Close(t.Context()))
	}
	sinktest.SinkAll(t, &want, dir, sink.Config{})
	require.Len(t, want.events, next)
	return dir, want
}

// whole requires that the tables have what a recording has, once.
func (want *taken) whole(t *testing.T, d *database) {
	t.Helper()
	id := "s.name || ':' || message_number || ':' || element_number"
	from := " JOIN tickstorm.segments s USING (segment) ORDER BY s.name, message_number, element_number"
	got := d.query(t, "SELECT "+id+" || ' ' || symbol || ' ' || sequence_number FROM tickstorm.trades"+from)
	require.Equal(t, len(want.events), len(got))
	for i := range got {
		require.Equal(t, want.events[i], got[i])
	}
	notices := d.query(t, "SELECT "+id+" || ' ' || kind FROM tickstorm.gaps"+from)
	slices.Sort(notices)
	sorted := slices.Clone(want.notices)
	slices.Sort(sorted)
	require.Equal(t, sorted, notices)
}

// TestKills: sinks are killed at random points, servers killed and shut down at once in the middle of
// a batch, connections ended. In the end the tables have what the recording has, each once.
func TestKills(t *testing.T) {
	s, err := pgserver.Start()
	if err != nil {
		pgserver.Skip(t, err)
	}
	defer s.Stop()
	d := databaseOn(t, s, "kills")
	left := sinktest.Turns(t, 12)
	dir, want := segments(t, 3, 200+25*left)
	cursor := filepath.Join(t.TempDir(), "cursor")
	random := sinktest.Random(3)
	kinds := map[int]int{}
	for over := false; !over; {
		killed := false
		next := 1 + random.IntN(60) // writes until something goes wrong, of which a batch has some
		said, err := sinktest.Program(t, killVariable+"="+s.URL("kills", "postgres")+"\n"+dir+"\n"+cursor, func(_ string, kill func()) {
			if next--; next > 0 || left <= 0 || killed {
				return
			}
			next = 1 + random.IntN(60)
			left--
			what := left % 4
			kinds[what]++
			switch what {
			case 0:
				kill()
				killed = true
			case 1:
				require.NoError(t, s.Kill())
				require.NoError(t, s.Restart())
				d.connect(t)
			case 2:
				s.Abort()
				require.NoError(t, s.Restart())
				d.connect(t)
			case 3:
				d.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'kills' AND pid <> pg_backend_pid()")
			}
		})
		over = err == nil
		if !killed {
			require.True(t, over, said)
		}
	}
	require.LessOrEqual(t, left, 0, "the recording is too short for so many")
	require.Len(t, kinds, 4)
	want.whole(t, d)
}
