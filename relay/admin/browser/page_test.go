package browser

import (
	"context"
	"flag"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/relay/admin"
	"github.com/tickstorm/tickstorm/sim"
)

var update = flag.Bool("update", false, "draw docs/relay-*.png anew")

// patience is for what happens within a second or two where nothing else runs.
const patience = time.Minute

// office is a relay of the simulator's stocks with its page.
type office struct {
	t       *testing.T
	sim     *sim.Server
	address string // of the relay
	key     string // that clients show
	page    string // its URL
	browser context.Context
}

func open(t *testing.T) *office {
	t.Helper()
	return openWith(t, func(*relay.Config) {})
}

// openWith opens one whose relay has been changed.
func openWith(t *testing.T, change func(*relay.Config)) *office {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Skip("no Chromium here; on Debian: apt-get install chromium")
	}
	o := &office{t: t, key: "any"}
	var err error
	o.sim, err = sim.Start(sim.Config{Rate: 20_000})
	require.NoError(t, err)
	t.Cleanup(func() { _ = o.sim.Close() })
	upstream := o.sim.ClientConfig(tickstorm.Stocks)
	upstream.Backoff = tickstorm.Backoff{Min: 50 * time.Millisecond, Max: 200 * time.Millisecond}
	cfg := relay.Config{
		Upstreams: []tickstorm.Config{upstream},
		Queue:     relay.QueueConfig{Bytes: 256 << 10, Overflow: tickstorm.OverflowDropOldest},
	}
	change(&cfg)
	server, err := relay.New(cfg)
	require.NoError(t, err)
	clients, err := relay.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	o.address = clients.Addr().String()
	people, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	o.page = "http://" + people.Addr().String() + "/"
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- server.Serve(ctx, clients) }()
	go func() {
		ended <- admin.New(server, admin.Config{Version: "v0"}).Serve(ctx, people)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		<-ended
	})
	allocated, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true))...)
	t.Cleanup(stop)
	var leave context.CancelFunc
	o.browser, leave = chromedp.NewContext(allocated)
	t.Cleanup(leave)
	o.do(chromedp.EmulateViewport(1200, 1000))
	return o
}

func (o *office) do(steps ...chromedp.Action[chromedp.Void]) {
	o.t.Helper()
	require.NoError(o.t, chromedp.Do(o.browser, steps...))
}

// look opens the page.
func (o *office) look() { o.t.Helper(); o.do(chromedp.Navigate(o.page)) }

// await waits until a JavaScript expression is true.
func (o *office) await(expression string) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.browser, patience)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(0)))
	if err != nil {
		text, _ := chromedp.Run(o.browser, chromedp.Evaluate[string]("document.body.innerText"))
		require.NoError(o.t, err, "%s never came of:\n%s", expression, text)
	}
}

func eval[T any](o *office, expression string) T {
	o.t.Helper()
	v, err := chromedp.Run(o.browser, chromedp.Evaluate[T](expression))
	require.NoError(o.t, err, expression)
	return v
}

// shows has the text of what a selector finds.
func shows(selector string) string {
	return `(document.querySelector('` + selector + `') || {}).textContent`
}

// connect is a client with topics.
func (o *office) connect(topics ...string) (leave func()) {
	o.t.Helper()
	client, err := tickstorm.NewClient(tickstorm.Config{Key: o.key, Market: tickstorm.Stocks, Feed: tickstorm.Feed("ws://" + o.address)}, tickstorm.NopHandler{})
	require.NoError(o.t, err)
	var wanted []tickstorm.Topic
	for _, text := range topics {
		t, err := tickstorm.ParseTopic(text)
		require.NoError(o.t, err)
		wanted = append(wanted, t)
	}
	require.NoError(o.t, client.SubscribeTopics(o.t.Context(), wanted...))
	require.NoError(o.t, client.Start(context.Background()))
	return func() { _ = client.Close() }
}

// stuck is a client that asks for everything and reads nothing.
func (o *office) stuck() (leave func()) { return o.ask("subscribe=T.*,Q.*") }

// ask is a client that asks for something in its URL, and does not read what it gets.
func (o *office) ask(query string) (leave func()) {
	o.t.Helper()
	conn := o.dial(query)
	require.NoError(o.t, conn.(*net.TCPConn).SetReadBuffer(4096))
	return func() { _ = conn.Close() }
}

// read is one that reads it.
func (o *office) read(query string) (leave func()) {
	o.t.Helper()
	conn, ended := o.dial(query), make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, conn) // to its end, which is leave
	}()
	return func() {
		_ = conn.Close()
		<-ended
	}
}

func (o *office) dial(query string) net.Conn {
	o.t.Helper()
	conn, err := net.Dial("tcp", o.address)
	require.NoError(o.t, err)
	_, err = conn.Write([]byte("GET /stocks?" + query + " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"))
	require.NoError(o.t, err)
	return conn
}

const rows = `document.querySelectorAll('#clients tbody tr')`

// A client that comes is shown with what it does, and gone when it has gone.
func TestClients(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.look()
	o.await(shows("#link") + ` === 'live'`)
	o.await(shows("article .state") + ` === 'connected'`)
	o.await(`!document.getElementById('nobody').hidden`)
	leave := o.connect("T.*", "Q.AAPL")
	defer leave()
	o.await(rows + `.length === 1`)
	o.await(rows + `[0].children[2].textContent === '2'`)
	o.await(`document.querySelectorAll('article tbody tr').length === 2`)
	o.await(`[...document.querySelectorAll('article tbody path')].every(p => p.getAttribute('d').split('L').length > 2)`)
	o.await(shows("#news") + `.includes('has connected')`)
	o.await(shows("#found") + ` === '2 topics'`)
	leave()
	o.await(rows + `.length === 0`)
	o.await(shows("#news") + `.includes('has gone')`)
}

func TestDrops(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.look()
	defer o.stuck()()
	o.await(`[...` + rows + `].some(r => r.children[8].textContent !== '0' && r.children[8].className === 'bad')`)
	o.await(`[...` + rows + `].some(r => r.querySelector('meter').value > 0)`)
}

// An upstream that dies is told at once and in words, and so is the relay itself.
func TestUpstreamDies(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.look()
	defer o.connect("T.*")()
	o.await(shows("article .state") + ` === 'connected'`)
	o.await(`document.querySelectorAll('article tbody tr').length === 1`)
	for _, c := range o.sim.Conns() {
		c.Cut()
	}
	o.await(shows("#markets") + `.includes('Last gap')`)
	require.NoError(t, o.sim.Close())
	o.await(shows("article .state") + ` === 'reconnecting'`)
	o.await(`document.querySelector('article .state').classList.contains('warn')`)
	o.await(shows("article .why") + `.length > 10`)
	o.await(rows + `.length === 1`) // the client stays
}

// Who has a key is shown by its name, and so is what is wrong with keys, wherever they are from.
func TestKeys(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	token := "0123456789abcdef"
	require.NoError(t, os.WriteFile(path, []byte(`{"keys":[{"name":"desk","token":"`+token+`","policy":{"wildcards":true}}]}`), 0o600))
	keys, err := relay.LoadKeys(path)
	require.NoError(t, err)
	o := openWith(t, func(c *relay.Config) { c.Keys, c.FilePoll = keys, 10*time.Millisecond })
	o.key = token
	o.look()
	defer o.connect("T.*")()
	o.await(rows + `.length === 1`)
	o.await(rows + `[0].children[0].textContent.startsWith('desk #1 (127.0.0.1:')`)
	o.await(shows("#news") + `.includes('desk #1 has connected')`)
	o.await(shows("#topics tbody td:nth-child(5)") + ` === 'desk #1'`)
	o.await(shows("#keys") + `.startsWith('1 key, taken ')`)
	o.await(shows("#keys") + `.endsWith('0 wrong ones were shown')`)
	require.True(t, eval[bool](o, `document.getElementById('keys-error').hidden`))

	late := o.dial("") // and shows its key when it is shown itself
	defer late.Close()
	o.await(rows + `.length === 2`)
	request := ws.NewTextFrame([]byte(`{"action":"auth","params":"` + token + `"}`))
	require.NoError(t, ws.WriteFrame(late, ws.MaskFrameInPlace(request)))
	o.await(shows("#news") + `.includes('desk #2 has connected')`)

	defer o.ask("token=of-somebody-else-0123")()
	o.await(shows("#keys") + `.endsWith('1 wrong one was shown')`)
	require.NoError(t, os.WriteFile(path, []byte("{\n\"kyes\": []}"), 0o600))
	o.await(`!document.getElementById('keys-error').hidden && ` + shows("#keys-error") + `.includes('keys.json:2')`)
	require.GreaterOrEqual(t, eval[float64](o, contrast), 4.5)
	require.NotContains(t, eval[string](o, "document.body.innerText"), token)
	require.NoError(t, os.WriteFile(path, []byte(`{"keys":[]}`), 0o600))
	o.await(rows + `.length === 0`)
	o.await(`document.getElementById('keys-error').hidden && ` + shows("#keys") + `.startsWith('0 keys')`)
}

// A standby says that it is one, and takes over before the eyes of whoever looks.
func TestStandby(t *testing.T) {
	t.Parallel()
	lock := filepath.Join(t.TempDir(), "lock")
	nowhere := tickstorm.Config{Key: "k", Market: tickstorm.Stocks, Feed: "ws://127.0.0.1:1"}
	first, err := relay.New(relay.Config{Upstreams: []tickstorm.Config{nowhere}, Lock: lock})
	require.NoError(t, err)
	l, err := first.Listen(t.Context(), "tcp", "127.0.0.1:0") // it has the lock from here on
	require.NoError(t, err)
	defer l.Close()
	o := openWith(t, func(c *relay.Config) { c.Lock = lock })
	o.look()
	o.await(shows("#link") + ` === 'live'`)
	o.await(`!document.getElementById('standby').hidden`)
	o.await(shows("article .state") + ` === 'standby'`)
	require.True(t, eval[bool](o, `document.getElementById('keys').hidden`))
	require.GreaterOrEqual(t, eval[float64](o, contrast), 4.5)
	require.NoError(t, first.Shutdown(t.Context()))
	o.await(shows("article .state") + ` === 'connected'`)
	o.await(`document.getElementById('office').hidden`)
	o.await(shows("#news") + `.includes('stocks is connected')`)
}

// What is kept for those who join late, and what they have taken of it, is shown.
func TestPast(t *testing.T) {
	t.Parallel()
	o := openWith(t, func(c *relay.Config) { c.Snapshots.Bytes, c.History = 1<<20, 1<<20 })
	figure := func(name string) string {
		return `([...document.querySelectorAll('article dl div')].find(d => d.firstChild.textContent === '` + name + `') || {lastChild: {}}).lastChild.textContent`
	}
	o.look()
	defer o.connect("T.*")()
	o.await(`/^[1-9].* k?B$/.test(` + figure("Last events kept") + `)`) // before there is one nothing can be recalled
	o.await(`/^1.05 MB, [1-9]/.test(` + figure("History") + `)`)
	o.await(figure("Events recalled") + ` === '0'`)
	defer o.read("subscribe=T.*&snapshot=1")()
	o.await(`/^[1-9]/.test(` + figure("Events recalled") + `)`)
}

// Searching needs a keyboard only.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.look()
	defer o.connect("T.AAPL", "T.MSFT", "Q.AAPL")()
	o.await(shows("#found") + ` === '3 topics'`)
	require.Equal(t, "BODY", eval[string](o, "document.activeElement.tagName"))
	visited := map[string]bool{}
	for range 10 {
		o.do(chromedp.KeyEvent(kb.Tab))
		id := eval[string](o, "document.activeElement.id || document.activeElement.className || document.activeElement.tagName")
		require.NotEqual(t, "0px", eval[string](o, "getComputedStyle(document.activeElement).outlineWidth"), "%s shows that it has the focus", id)
		visited[id] = true
		if id == "query" {
			break
		}
	}
	require.True(t, visited["skip"])
	require.True(t, visited["query"])
	o.do(chromedp.KeyEvent("aapl"))
	o.await(shows("#found") + ` === '2 topics'`)
	o.await(`document.querySelectorAll('#topics tbody tr').length === 2`)
	o.await(`[...document.querySelectorAll('#topics tbody tr')].every(r => r.children[2].textContent === 'granted')`)
}

// What a screen reader has of the page: names and roles.
func TestScreenReader(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.look()
	defer o.connect("T.*")()
	o.await(`document.querySelectorAll('article tbody tr').length === 1`)
	o.await(rows + `.length === 1`)
	tree, err := chromedp.Call(o.browser, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	require.NoError(t, err)
	found := map[string]bool{}
	for _, n := range tree.Nodes {
		if n.Role != nil && n.Name != nil {
			found[string(n.Role.Value)+" "+string(n.Name.Value)] = true
		}
	}
	for _, want := range []string{
		`"heading" "Relay"`, `"heading" "Upstream"`, `"heading" "stocks"`, `"region" "Upstream"`, `"region" "Topics"`,
		`"table" "Rates of stocks by channel"`, `"table" "Clients that are connected, with their queues and what was dropped"`,
		`"columnheader" "Dropped"`, `"searchbox" "Search"`, `"link" "Skip to the figures"`,
	} {
		require.True(t, found[want], "%s is not in %v", want, found)
	}
	require.Equal(t, "en", eval[string](o, "document.documentElement.lang"))
	require.Equal(t, "polite", eval[string](o, "document.getElementById('news').ariaLive"))
}

func (o *office) dress(scheme string, width, height int64) {
	o.t.Helper()
	o.do(chromedp.EmulateViewport(width, height))
	_, err := chromedp.Call(o.browser, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	require.NoError(o.t, err)
}

// contrast is the least contrast of any text with what is behind it, by WCAG.
const contrast = `(() => {
  const parse = c => (c.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] > 0) return c; } return [255, 255, 255]; };
  let least = 99, of = '';
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walker.nextNode());) {
    const e = n.parentElement;
    if (!n.textContent.trim() || ['SCRIPT', 'STYLE'].includes(e.tagName) || !e.getClientRects().length) continue;
    const a = light(parse(getComputedStyle(e).color)) + 0.05, b = light(behind(e)) + 0.05;
    const ratio = Math.max(a, b) / Math.min(a, b);
    if (ratio < least) { least = ratio; of = n.textContent; }
  }
  return least;
})()`

// On a phone nothing is cut off, and in light and dark all can be read.
func TestLooks(t *testing.T) {
	t.Parallel()
	o := open(t)
	defer o.connect("T.*", "Q.AAPL")()
	defer o.stuck()()
	for _, c := range []struct {
		name, scheme  string
		width, height int64
	}{
		{"wide and light", "light", 1200, 1000},
		{"wide and dark", "dark", 1200, 1000},
		{"phone, light", "light", 360, 700},
		{"phone, dark", "dark", 360, 700},
	} {
		t.Run(c.name, func(t *testing.T) {
			o.t = t
			o.dress(c.scheme, c.width, c.height)
			o.look()
			o.await(rows + `.length === 2`)
			o.await(`document.querySelectorAll('#topics tbody tr').length >= 2`)
			require.LessOrEqual(t, eval[float64](o, "document.documentElement.scrollWidth"), float64(c.width))
			require.GreaterOrEqual(t, eval[float64](o, contrast), 4.5)
			dark := eval[float64](o, `Number(getComputedStyle(document.body).backgroundColor.match(/\d+/)[0])`) < 128
			require.Equal(t, c.scheme == "dark", dark)
		})
	}
}

// The screenshots of the documentation.
func TestScreenshots(t *testing.T) {
	if !*update {
		t.Skip("they are drawn with -update")
	}
	token := func(name string) string { return name + "-0123456789abcdef" }
	var all []relay.Key
	for _, name := range []string{"recorder", "desk", "screen in the hall"} {
		all = append(all, relay.Key{Name: name, Token: token(name[:4]), Policy: relay.Policy{Wildcards: true, Snapshot: true}})
	}
	keys, err := relay.NewKeys(all...)
	require.NoError(t, err)
	o := openWith(t, func(c *relay.Config) { c.Keys, c.Snapshots.Bytes, c.History = keys, 8<<20, 64<<20 })
	o.key = token("reco")
	defer o.connect("T.*", "Q.*", "AM.*")()
	o.key = token("desk")
	defer o.connect("T.AAPL", "Q.AAPL")()
	defer o.ask("subscribe=T.*,Q.*&snapshot=1&token=" + token("scre"))()
	for _, c := range []struct {
		name, scheme  string
		width, height int64
	}{
		{"relay-wide", "light", 1200, 900},
		{"relay-phone", "dark", 390, 800},
	} {
		o.dress(c.scheme, c.width, c.height)
		o.look()
		o.await(`[...document.querySelectorAll('article tbody path')].some(p => p.getAttribute('d').split('L').length > 15)`)
		shot, err := chromedp.Run(o.browser, chromedp.FullScreenshot(100))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join("..", "..", "..", "docs", c.name+".png"), shot, 0o644))
	}
}
