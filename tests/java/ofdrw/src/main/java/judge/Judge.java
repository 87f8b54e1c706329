package judge;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.Security;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bouncycastle.asn1.ASN1EncodableVector;
import org.bouncycastle.asn1.DERSequence;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.json.JSONArray;
import org.json.JSONObject;
import org.ofdrw.converter.export.ImageExporter;
import org.ofdrw.core.attachment.CT_Attachment;
import org.ofdrw.core.signatures.SigType;
import org.ofdrw.core.signatures.range.Reference;
import org.ofdrw.core.signatures.sig.Signature;
import org.ofdrw.gm.ses.parse.SESVersion;
import org.ofdrw.gm.ses.parse.SESVersionHolder;
import org.ofdrw.gm.ses.parse.VersionParser;
import org.ofdrw.reader.ContentExtractor;
import org.ofdrw.reader.OFDReader;
import org.ofdrw.reader.ResourceLocator;
import org.ofdrw.sign.verify.OFDValidator;
import org.ofdrw.sign.verify.SignedDataValidateContainer;
import org.ofdrw.sign.verify.container.GBT35275ValidateContainer;
import org.ofdrw.sign.verify.container.SESV1ValidateContainer;
import org.ofdrw.sign.verify.container.SESV4ValidateContainer;

/**
 * What ofdrw says of OFD files. Arguments: "verify", "text" or "image DIRECTORY PIXELS_PER_MM", then files. For every
 * file one line of JSON with its name: the signatures one by one and the validator's own answer; text objects and
 * hidden attachments; or the picture's file.
 */
public final class Judge {
    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        List<String> files = Arrays.asList(arguments);
        switch (arguments[0]) {
            case "verify" -> each(files.subList(1, files.size()), Judge::verify);
            case "text" -> each(files.subList(1, files.size()), Judge::text);
            case "image" -> {
                Path folder = Path.of(arguments[1]);
                double scale = Double.parseDouble(arguments[2]);
                each(files.subList(3, files.size()), file -> image(file, folder, scale));
            }
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private interface Work {
        JSONObject of(Path file) throws Exception;
    }

    private static void each(List<String> files, Work work) {
        for (String name : files) {
            JSONObject answer;
            try {
                answer = work.of(Path.of(name));
            } catch (Exception | StackOverflowError error) {
                answer = new JSONObject().put("error", String.valueOf(error));
            }
            byte[] line = (answer.put("file", name) + "\n").getBytes(StandardCharsets.UTF_8);
            System.out.write(line, 0, line.length);
        }
        System.out.flush();
    }

    private static JSONObject verify(Path file) throws Exception {
        JSONArray found = new JSONArray();
        String whole = "valid";
        try (OFDReader reader = new OFDReader(file)) {
            if (!reader.hasSignature()) {
                return new JSONObject().put("signatures", found).put("whole", "unsigned");
            }
            for (org.ofdrw.core.signatures.Signature item : reader.getDefaultSignatures().getSignatures()) {
                found.put(one(reader, item));
            }
        }
        for (SignedDataValidateContainer container : List.of(
                new SESV4ValidateContainer(), new SESV1ValidateContainer(), new GBT35275ValidateContainer())) {
            try (OFDReader reader = new OFDReader(file); OFDValidator validator = new OFDValidator(reader)) {
                validator.setValidator(container);
                validator.exeValidate();
                whole = "valid";
                break;
            } catch (Exception error) {
                whole = whole.equals("valid") ? String.valueOf(error) : whole;
            }
        }
        return new JSONObject().put("signatures", found).put("whole", whole);
    }

    private static JSONObject one(OFDReader reader, org.ofdrw.core.signatures.Signature item) {
        JSONObject answer = new JSONObject();
        try {
            ResourceLocator locator = reader.getResourceLocator();
            locator.save();
            locator.cd("/" + reader.getDefaultDocSignaturesPath().parent());
            String place = locator.toAbsolutePath(item.getBaseLoc());
            Signature signature = locator.get(item.getBaseLoc(), Signature::new);
            locator.cd(place.substring(0, place.lastIndexOf('/')));
            answer.put("references", references(locator, signature));
            byte[] value = Files.readAllBytes(locator.getFile(signature.getSignedValue()));
            byte[] described = Files.readAllBytes(locator.getFile(place));
            String method = signature.getSignedInfo().getSignatureMethod();
            SigType type = item.getType() == null ? SigType.Seal : item.getType();
            if (type == SigType.Sign) {
                answer.put("value", tried(() -> new GBT35275ValidateContainer().validate(type, method, described, value)));
            } else {
                SESVersionHolder holder = VersionParser.parseSES_SignatureVersion(value);
                boolean first = holder.getVersion() == SESVersion.v1;
                SignedDataValidateContainer container = first ? new SESV1ValidateContainer() : new SESV4ValidateContainer();
                answer.put("value", tried(() -> container.validate(type, method, described, value)));
                answer.put("seal", tried(() -> seal(holder, first)));
            }
            locator.restore();
        } catch (Exception error) {
            answer.put("error", String.valueOf(error));
        }
        return answer;
    }

    private interface Step {
        void run() throws Exception;
    }

    private static String tried(Step step) {
        try {
            step.run();
            return "ok";
        } catch (Exception error) {
            return String.valueOf(error);
        }
    }

    /** The digest of every referenced file, as its CheckMethod says. */
    private static String references(ResourceLocator locator, Signature signature) throws Exception {
        var listed = signature.getSignedInfo().getReferences();
        String method = listed.getCheckMethod();
        MessageDigest digest = MessageDigest.getInstance(
                method.equalsIgnoreCase("SM3") ? "1.2.156.10197.1.401" : method, new BouncyCastleProvider());
        List<String> wrong = new ArrayList<>();
        for (Reference reference : listed.getReferences()) {
            String name = reference.getFileRef().toString();
            try {
                byte[] got = digest.digest(Files.readAllBytes(locator.getFile(reference.getFileRef())));
                if (!Arrays.equals(got, reference.getCheckValue())) {
                    wrong.add(name);
                }
            } catch (java.io.FileNotFoundException error) {
                wrong.add("missing " + name);
            }
        }
        return wrong.isEmpty() ? "ok" : String.join(" ", wrong);
    }

    /** The maker's signature on the seal; ofdrw parses seals, Bouncy Castle does the arithmetic. */
    private static void seal(SESVersionHolder holder, boolean first) throws Exception {
        byte[] certificate;
        byte[] signed;
        byte[] value;
        if (first) {
            var seal = holder.getInstanceV1().getToSign().getEseal();
            var info = seal.getSignInfo();
            ASN1EncodableVector parts = new ASN1EncodableVector();
            parts.add(seal.getEsealInfo());
            parts.add(info.getCert());
            parts.add(info.getSignatureAlgorithm());
            certificate = info.getCert().getOctets();
            signed = new DERSequence(parts).getEncoded("DER");
            value = info.getSignData().getOctets();
        } else {
            var seal = holder.getInstanceV4().getToSign().getEseal();
            certificate = seal.getCert().getOctets();
            signed = seal.geteSealInfo().getEncoded("DER");
            value = seal.getSignedValue().getOctets();
        }
        CertificateFactory factory = CertificateFactory.getInstance("X.509", new BouncyCastleProvider());
        Certificate maker = factory.generateCertificate(new ByteArrayInputStream(certificate));
        java.security.Signature check =
                java.security.Signature.getInstance("1.2.156.10197.1.501", new BouncyCastleProvider());
        check.initVerify(maker);
        check.update(signed);
        if (!check.verify(value)) {
            throw new java.security.SignatureException("the seal is not its maker's");
        }
    }

    private static JSONObject text(Path file) throws Exception {
        JSONArray pages = new JSONArray();
        JSONObject attachments = new JSONObject();
        try (OFDReader reader = new OFDReader(file)) {
            ContentExtractor extractor = new ContentExtractor(reader);
            for (int page = 1; page <= reader.getNumberOfPages(); page++) {
                pages.put(array(extractor.getPageContent(page)));
            }
            for (CT_Attachment item : reader.getAttachmentList()) {
                byte[] data = Files.readAllBytes(reader.getAttachmentFile(item));
                String kept = java.util.HexFormat.of().formatHex(data);
                attachments.put(item.getAttachmentName(), new JSONObject().put("hex", kept).put("visible", item.getVisible()));
            }
        }
        return new JSONObject().put("pages", pages).put("attachments", attachments);
    }

    private static JSONObject image(Path file, Path folder, double scale) throws Exception {
        Path own = folder.resolve(file.getFileName().toString().replace(".ofd", ""));
        Files.createDirectories(own);
        try (ImageExporter exporter = new ImageExporter(file, own, "PNG", scale)) {
            exporter.export();
            List<String> names = exporter.getImgFilePaths().stream().map(Path::toString).toList();
            return new JSONObject().put("images", array(names));
        }
    }

    private static JSONArray array(List<String> items) {
        JSONArray found = new JSONArray();
        items.forEach(found::put);
        return found;
    }
}
