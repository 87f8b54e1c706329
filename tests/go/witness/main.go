// Command witnesscheck makes and verifies cosignatures with the code of transparency-dev and nothing of ours.
//
//	agent    hold a new Ed25519 key for litewitness, which signs through an SSH agent
//	verify   open a checkpoint with the lines of all given witnesses
//	subtree  verify a sign-subtree answer
//	sign     cosign a checkpoint and a subtree with a new ML-DSA-44 key
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	commands := map[string]func([]string) error{"agent": serveAgent, "verify": verify, "subtree": subtree, "sign": sign}
	err := errors.New("agent, verify, subtree or sign")
	if len(os.Args) > 1 {
		if run, ok := commands[os.Args[1]]; ok {
			err = run(os.Args[2:])
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveAgent(args []string) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		return err
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return err
	}
	listener, err := net.Listen("unix", args[0])
	if err != nil {
		return err
	}
	fmt.Println(ssh.FingerprintSHA256(public))
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go agent.ServeAgent(ring, connection)
	}
}

// verify opens the checkpoint: every one of the witnesses must have signed, at some time.
func verify(args []string) error {
	flags := flag.NewFlagSet("verify", flag.ExitOnError)
	checkpoint := flags.String("checkpoint", "", "file with the cosigned checkpoint")
	vkeys := flags.String("witness", "", "the witnesses' verifier keys, by commas")
	flags.Parse(args)
	raw, err := os.ReadFile(*checkpoint)
	if err != nil {
		return err
	}
	var verifiers []note.Verifier
	for _, vkey := range strings.Split(*vkeys, ",") {
		verifier, err := fnote.NewVerifierForCosignatureV1(vkey)
		if err != nil {
			return err
		}
		verifiers = append(verifiers, verifier)
	}
	opened, err := note.Open(raw, note.VerifierList(verifiers...))
	if err != nil {
		return err
	}
	if len(opened.Sigs) != len(verifiers) {
		return fmt.Errorf("%d of %d witnesses signed", len(opened.Sigs), len(verifiers))
	}
	for _, signature := range opened.Sigs {
		at, err := fnote.CoSigV1Timestamp(signature)
		if err != nil {
			return err
		}
		fmt.Printf("%s %08x %d\n", signature.Name, signature.Hash, at.Unix())
	}
	return nil
}

func subtree(args []string) error {
	flags := flag.NewFlagSet("subtree", flag.ExitOnError)
	vkey := flags.String("witness", "", "the witness's ML-DSA-44 verifier key")
	origin := flags.String("origin", "", "origin of the log")
	start := flags.Uint64("start", 0, "first leaf")
	end := flags.Uint64("end", 0, "leaf behind the last")
	root := flags.String("root", "", "hash of the subtree in base64")
	signature := flags.String("signature", "", "what stands behind the name in the line")
	flags.Parse(args)
	verifier, err := fnote.NewMLDSAVerifier(*vkey)
	if err != nil {
		return err
	}
	hash, err := base64.StdEncoding.DecodeString(*root)
	if err != nil {
		return err
	}
	line, err := base64.StdEncoding.DecodeString(*signature)
	if err != nil {
		return err
	}
	if len(line) < 4 || !verifier.VerifySubtree(0, *origin, *start, *end, hash, line[4:]) {
		return errors.New("the subtree signature does not verify")
	}
	fmt.Println("verified")
	return nil
}

// sign prints the verifier key, the line over the checkpoint and the line over the subtree.
func sign(args []string) error {
	flags := flag.NewFlagSet("sign", flag.ExitOnError)
	name := flags.String("name", "", "name of the cosigner")
	checkpoint := flags.String("checkpoint", "", "file with the checkpoint")
	start := flags.Uint64("start", 0, "first leaf of the subtree")
	end := flags.Uint64("end", 0, "leaf behind its last")
	root := flags.String("root", "", "hash of the subtree in base64")
	flags.Parse(args)
	raw, err := os.ReadFile(*checkpoint)
	if err != nil {
		return err
	}
	hash, err := base64.StdEncoding.DecodeString(*root)
	if err != nil {
		return err
	}
	skey, vkey, err := fnote.GenerateMLDSAKey(*name)
	if err != nil {
		return err
	}
	signer, err := fnote.NewMLDSASigner(skey)
	if err != nil {
		return err
	}
	text := raw[:bytes.LastIndex(raw, []byte("\n\n"))+1]
	whole, err := signer.Sign(text)
	if err != nil {
		return err
	}
	origin, _, _ := strings.Cut(string(text), "\n")
	part, err := signer.SignSubtree(0, origin, *start, *end, hash)
	if err != nil {
		return err
	}
	fmt.Println(vkey)
	for _, signature := range [][]byte{whole, part} {
		data := binary.BigEndian.AppendUint32(nil, signer.KeyHash())
		fmt.Printf("\u2014 %s %s\n", *name, base64.StdEncoding.EncodeToString(append(data, signature...)))
	}
	return nil
}
