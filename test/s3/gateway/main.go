// Command gateway is an S3 server over a folder, for tests: versitygw with one
// user. It makes a bucket named models. Usage: gateway ADDRESS FOLDER
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1], os.Args[2]); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address, folder string) error {
	objects, sidecar := filepath.Join(folder, "objects"), filepath.Join(folder, "meta")
	for _, dir := range []string{filepath.Join(objects, "models"), sidecar} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	// Metadata lies beside the objects: not every file system has attributes.
	store, err := meta.NewSideCar(sidecar)
	if err != nil {
		return err
	}
	be, err := posix.New(objects, store, posix.PosixOpts{SideCarDir: sidecar})
	if err != nil {
		return err
	}
	return embedgw.RunVersityGW(ctx, be, &embedgw.Config{
		RootUserAccess: "access", RootUserSecret: "secret", Ports: []string{address}, Quiet: true,
		MaxConnections: 1000, MaxRequests: 1000, MultipartMaxParts: 10000, KeepAlive: true, DisableACLs: true,
	})
}
