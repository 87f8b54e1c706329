// Command logcheck reads a tlog-tiles directory with golang.org/x/mod/sumdb/{note,tlog} and nothing of ours.
//
// It verifies the checkpoint note, recomputes every tile and the root from the entry bundles, proves each old
// checkpoint a prefix, and checks inclusion proofs that tlog builds through its authenticating TileHashReader.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8
const width = 1 << height

type tree struct {
	size int64
	root tlog.Hash
}

type directory struct{ root string }

func (d directory) Height() int { return height }

// ReadTiles maps tlog's own tile paths (tile/8/...) to those of C2SP tlog-tiles.
func (d directory) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	for i, t := range tiles {
		data, err := os.ReadFile(filepath.Join(d.root, tilePath(strconv.Itoa(t.L), t.N, t.W)))
		if err != nil {
			return nil, err
		}
		out[i] = data
	}
	return out, nil
}

func (d directory) SaveTiles([]tlog.Tile, [][]byte) {}

func tilePath(level string, n int64, w int) string {
	number := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		number = fmt.Sprintf("x%03d/%s", n%1000, number)
	}
	if w != width {
		number += fmt.Sprintf(".p/%d", w)
	}
	return "tile/" + level + "/" + number
}

func open(raw []byte, verifiers note.Verifiers, origin string) (tree, error) {
	n, err := note.Open(raw, verifiers)
	if err != nil {
		return tree{}, err
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] != origin {
		return tree{}, fmt.Errorf("checkpoint is not of origin %q", origin)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || strconv.FormatInt(size, 10) != lines[1] {
		return tree{}, fmt.Errorf("size line %q", lines[1])
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tree{}, fmt.Errorf("root line %q", lines[2])
	}
	return tree{size, tlog.Hash(root)}, nil
}

func bundle(root string, n int64, w int) ([][]byte, error) {
	data, err := os.ReadFile(filepath.Join(root, tilePath("entries", n, w)))
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("bundle %d is cut short", n)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries, data = append(entries, data[2:end]), data[end:]
	}
	if len(entries) != w {
		return nil, fmt.Errorf("bundle %d holds %d entries, not %d", n, len(entries), w)
	}
	return entries, nil
}

// recompute hashes every entry, compares every tile, and returns the stored hashes in tlog's own order.
func recompute(root string, t tree) (tlog.HashReaderFunc, error) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			if x < 0 || x >= int64(len(stored)) {
				return nil, fmt.Errorf("no stored hash %d", x)
			}
			out[i] = stored[x]
		}
		return out, nil
	})
	for n := int64(0); n*width < t.size; n++ {
		w := int(min(width, t.size-n*width))
		entries, err := bundle(root, n, w)
		if err != nil {
			return nil, err
		}
		for i, entry := range entries {
			hashes, err := tlog.StoredHashes(n*width+int64(i), entry, reader)
			if err != nil {
				return nil, err
			}
			stored = append(stored, hashes...)
		}
	}
	for _, tile := range tlog.NewTiles(height, 0, t.size) {
		want, err := tlog.ReadTileData(tile, reader)
		if err != nil {
			return nil, err
		}
		path := tilePath(strconv.Itoa(tile.L), tile.N, tile.W)
		have, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(want, have) {
			return nil, fmt.Errorf("%s is not what the entries give", path)
		}
	}
	if t.size > 0 {
		got, err := tlog.TreeHash(t.size, reader)
		if err != nil {
			return nil, err
		}
		if got != t.root {
			return nil, fmt.Errorf("entries give root %v, checkpoint says %v", got, t.root)
		}
	}
	return reader, nil
}

func prefix(old, head tree, reader tlog.HashReader) error {
	if old.size == 0 {
		return nil
	}
	if old.size > head.size {
		return fmt.Errorf("old checkpoint of %d entries is larger than %d", old.size, head.size)
	}
	proof, err := tlog.ProveTree(head.size, old.size, reader)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, head.size, head.root, old.size, old.root)
}

func sample(d directory, head tree, count int64) (int64, error) {
	reader := tlog.TileHashReader(tlog.Tree{N: head.size, Hash: head.root}, d)
	step := max(1, head.size/max(1, count))
	done := int64(0)
	for index := int64(0); index < head.size; index += step {
		w := int(min(width, head.size-index/width*width))
		entries, err := bundle(d.root, index/width, w)
		if err != nil {
			return done, err
		}
		proof, err := tlog.ProveRecord(head.size, index, reader)
		if err != nil {
			return done, err
		}
		leaf := tlog.RecordHash(entries[index%width])
		if err := tlog.CheckRecord(proof, head.size, head.root, index, leaf); err != nil {
			return done, err
		}
		done++
	}
	return done, nil
}

func check() error {
	dir := flag.String("dir", "", "log directory")
	vkey := flag.String("vkey", "", "verifier key")
	origin := flag.String("origin", "", "origin, if it is not the key's name")
	old := flag.String("old", "", "older checkpoints, comma separated files")
	proofs := flag.Int64("proofs", 50, "inclusion proofs to sample")
	authenticated := flag.Bool("tiles-only", false, "leave recomputation out: TileHashReader alone must find a forgery")
	flag.Parse()
	verifier, err := note.NewVerifier(*vkey)
	if err != nil {
		return err
	}
	if *origin == "" {
		*origin = verifier.Name()
	}
	verifiers := note.VerifierList(verifier)
	raw, err := os.ReadFile(filepath.Join(*dir, "checkpoint"))
	if err != nil {
		return err
	}
	head, err := open(raw, verifiers, *origin)
	if err != nil {
		return err
	}
	olds := 0
	if !*authenticated {
		reader, err := recompute(*dir, head)
		if err != nil {
			return err
		}
		for _, name := range strings.Split(*old, ",") {
			if name == "" {
				continue
			}
			raw, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			was, err := open(raw, verifiers, *origin)
			if err != nil {
				return err
			}
			if err := prefix(was, head, reader); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			olds++
		}
	}
	done, err := sample(directory{*dir}, head, *proofs)
	if err != nil {
		return err
	}
	fmt.Printf("ok size=%d old=%d proofs=%d\n", head.size, olds, done)
	return nil
}

func main() {
	if err := check(); err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		os.Exit(1)
	}
}
