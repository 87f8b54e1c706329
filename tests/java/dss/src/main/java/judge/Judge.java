package judge;

import eu.europa.esig.dss.diagnostic.PDFRevisionWrapper;
import eu.europa.esig.dss.diagnostic.jaxb.XmlObjectModification;
import eu.europa.esig.dss.enumerations.MimeTypeEnum;
import eu.europa.esig.dss.jaxb.object.Message;
import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.simplereport.SimpleReport;
import eu.europa.esig.dss.spi.DSSUtils;
import eu.europa.esig.dss.spi.validation.CommonCertificateVerifier;
import eu.europa.esig.dss.spi.x509.CommonTrustedCertificateSource;
import eu.europa.esig.dss.spi.x509.revocation.crl.ExternalResourcesCRLSource;
import eu.europa.esig.dss.validation.SignedDocumentValidator;
import eu.europa.esig.dss.validation.reports.Reports;

import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Date;
import java.util.List;

/**
 * Arguments: time of judgement (unix seconds), trust anchors (DER, separated by ":"), CRL files or "-", then PDF files.
 * For every signature one line "file TAB format TAB indication TAB subindication or -", then its messages; before them
 * what DSS has no name for among the changes after that signature.
 */
public final class Judge {
    public static void main(String[] arguments) throws IOException {
        Date at = new Date(Long.parseLong(arguments[0]) * 1000);
        CommonTrustedCertificateSource anchors = new CommonTrustedCertificateSource();
        for (String anchor : arguments[1].split(":")) {
            anchors.addCertificate(DSSUtils.loadCertificate(new File(anchor)));
        }
        for (String file : Arrays.asList(arguments).subList(3, arguments.length)) {
            CommonCertificateVerifier verifier = new CommonCertificateVerifier();
            verifier.setTrustedCertSources(anchors);
            if (!arguments[2].equals("-")) {
                verifier.setCrlSource(crls(arguments[2].split(":")));
            }
            judge(file, at, verifier);
        }
    }

    private static ExternalResourcesCRLSource crls(String[] files) throws IOException {
        InputStream[] streams = new InputStream[files.length];
        for (int place = 0; place < files.length; place++) {
            streams[place] = new ByteArrayInputStream(Files.readAllBytes(Path.of(files[place])));
        }
        return new ExternalResourcesCRLSource(streams);
    }

    private static void judge(String file, Date at, CommonCertificateVerifier verifier) {
        FileDocument document = new FileDocument(file);
        document.setMimeType(MimeTypeEnum.PDF);
        SignedDocumentValidator validator = SignedDocumentValidator.fromDocument(document);
        validator.setCertificateVerifier(verifier);
        validator.setValidationTime(at);
        Reports reports = validator.validateDocument();
        SimpleReport report = reports.getSimpleReport();
        for (String id : report.getSignatureIdList()) {
            System.out.println(String.join("\t", file, String.valueOf(report.getSignatureFormat(id)),
                    String.valueOf(report.getIndication(id)),
                    report.getSubIndication(id) == null ? "-" : report.getSubIndication(id).name()));
            PDFRevisionWrapper revision = reports.getDiagnosticData().getSignatureById(id).getPDFRevision();
            for (XmlObjectModification change : revision.getPdfUndefinedChanges()) {
                System.out.println("	undefined change	" + change.getAction() + "	" + change.getValue());
            }
            print("ades error", report.getAdESValidationErrors(id));
            print("ades warning", report.getAdESValidationWarnings(id));
            print("ades info", report.getAdESValidationInfo(id));
        }
    }

    private static void print(String kind, List<Message> messages) {
        for (Message message : messages) {
            System.out.println("\t" + kind + "\t" + message.getKey() + "\t" + message.getValue());
        }
    }
}
