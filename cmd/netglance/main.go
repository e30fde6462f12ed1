// Command netglance tells, for every port of a host, who owns it, who can reach
// it and by which rule, and whether that is meant.
package main

import (
	"context"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], system())
	stop()
	os.Exit(code)
}
