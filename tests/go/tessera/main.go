// Command tesseracheck reads a served log with Tessera's own client and fsck: everything is recomputed, every
// entry proved, and the heads that were kept before are updated to the newest.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	address := flag.String("url", "", "the log's address")
	vkey := flag.String("vkey", "", "verifier key")
	old := flag.String("old", "", "comma-separated files of older checkpoints")
	step := flag.Uint64("step", 1, "prove every n-th entry")
	flag.Parse()
	if err := check(*address, *vkey, *old, *step); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(address, vkey, old string, step uint64) error {
	ctx := context.Background()
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return fmt.Errorf("vkey: %w", err)
	}
	root, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("url: %w", err)
	}
	source, err := client.NewHTTPFetcher(root, nil)
	if err != nil {
		return fmt.Errorf("fetcher: %w", err)
	}
	if err := fsck.New(verifier.Name(), verifier, source, leafHashes, fsck.Opts{N: 2}).Check(ctx); err != nil {
		return fmt.Errorf("fsck: %w", err)
	}
	head, raw, _, err := client.FetchCheckpoint(ctx, source.ReadCheckpoint, verifier, verifier.Name())
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	proved, err := prove(ctx, source, head.Size, head.Hash, step)
	if err != nil {
		return err
	}
	followed := 0
	for _, file := range strings.Split(old, ",") {
		if file == "" {
			continue
		}
		before, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		tracker, err := client.NewLogStateTracker(ctx, source.ReadTile, before, verifier, verifier.Name(),
			client.UnilateralConsensus(source.ReadCheckpoint))
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if _, _, after, err := tracker.Update(ctx); err != nil || (after != nil && string(after) != string(raw)) {
			return fmt.Errorf("%s: not followed: %w", file, err)
		}
		followed++
	}
	fmt.Printf("size=%d proved=%d old=%d\n", head.Size, proved, followed)
	return nil
}

func prove(ctx context.Context, source *client.HTTPFetcher, size uint64, root []byte, step uint64) (int, error) {
	if size == 0 {
		return 0, nil
	}
	builder, err := client.NewProofBuilder(ctx, size, source.ReadTile)
	if err != nil {
		return 0, fmt.Errorf("proofs: %w", err)
	}
	proved := 0
	for index := uint64(0); index < size; index += step {
		bundle, err := client.GetEntryBundle(ctx, source.ReadEntryBundle, index/256, size)
		if err != nil {
			return 0, fmt.Errorf("bundle of %d: %w", index, err)
		}
		hashes, err := builder.InclusionProof(ctx, index)
		if err != nil {
			return 0, fmt.Errorf("proof of %d: %w", index, err)
		}
		leaf := rfc6962.DefaultHasher.HashLeaf(bundle.Entries[index%256])
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, size, leaf, hashes, root); err != nil {
			return 0, fmt.Errorf("entry %d: %w", index, err)
		}
		proved++
	}
	return proved, nil
}

func leafHashes(bundle []byte) ([][]byte, error) {
	entries := api.EntryBundle{}
	if err := entries.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	hashes := make([][]byte, 0, len(entries.Entries))
	for _, entry := range entries.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(entry))
	}
	return hashes, nil
}
