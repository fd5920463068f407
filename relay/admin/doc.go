// Package admin shows what a relay does, on an address of its own: to people by a page, to
// supervisors and orchestrators by health and readiness, to monitoring by metrics, to programs by
// JSON.
//
//	GET /         a page that keeps itself up to date
//	GET /healthz  200 while the process answers
//	GET /readyz   200 while every market's upstream delivers, else 503, and why as JSON
//	GET /clients  the clients as JSON
//	GET /topics   the topics that clients hold as JSON: ?q=AAPL searches, ?limit=100 bounds
//	GET /metrics  Prometheus text
//	GET /events   server-sent events, one a second: what the page shows
//
// It shows names and addresses of clients and what they subscribe to, never events and never keys.
// Nobody is asked for a password, so the address is one of the loopback interface unless
// [Config].Remote says otherwise.
package admin
