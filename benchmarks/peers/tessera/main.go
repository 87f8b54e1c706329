// A peer for benchmarks/load_log.py: Tessera's POSIX storage behind plain HTTP, as its own conformance server does it.
// It answers POST /add with the index once the entry is integrated, unsigned and without a receipt, and serves files.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	dir := flag.String("dir", "", "directory of the log")
	listen := flag.String("listen", "", "host:port")
	age := flag.Duration("age", 100*time.Millisecond, "longest wait for a batch")
	flag.Parse()
	ctx := context.Background()
	secret, _, err := note.GenerateKey(rand.Reader, "peer.example/tessera")
	must(err)
	signer, err := note.NewSigner(secret)
	must(err)
	driver, err := posix.New(ctx, posix.Config{Path: *dir})
	must(err)
	appender, _, _, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(time.Second).
		WithBatching(256, *age))
	must(err)
	http.HandleFunc("POST /add", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		index, err := appender.Add(r.Context(), tessera.NewEntry(body))()
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "%d", index.Index)
	})
	files := http.FileServer(http.Dir(*dir))
	http.Handle("GET /checkpoint", files)
	http.Handle("GET /tile/", files)
	must(http.ListenAndServe(*listen, nil))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
