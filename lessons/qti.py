"""Quizzes as a QTI 3 package: a zip with a manifest, a test and one file for each question.

Valid by 1EdTech's own schemas of QTI 3.0 and its packages, checked with lxml in November 2026
(questions by the SBAC profile, which differs in `data-` attributes only). Their licence keeps them
out of here.
"""

import io
import re
import zipfile
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from lessons.quizfile import ParsedQuestion

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_ASI = "http://www.imsglobal.org/xsd/imsqtiasi_v3p0"
_CP = "http://www.imsglobal.org/xsd/qti/qtiv3p0/imscp_v1p1"
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LETTERS = "ABCDEFGH"
_DATE = (1980, 1, 1, 0, 0, 0)  # the same quiz gives the same file


def package(questions: Sequence[ParsedQuestion], title: str) -> bytes:
    """The zip file's bytes."""
    names = [f"q{number}-{question.key}" for number, question in enumerate(questions, 1)]
    files = {"imsmanifest.xml": _manifest(names), "test.xml": _test(names, title)}
    for name, question in zip(names, questions, strict=True):
        files[f"items/{name}.xml"] = _item(name, question)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            info = zipfile.ZipInfo(path, _DATE)
            archive.writestr(info, _NOT_XML.sub("", text), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _manifest(names: Sequence[str]) -> str:
    items = "\n".join(
        f'  <resource identifier="{name}" type="imsqti_item_xmlv3p0" href="items/{name}.xml">'
        f'<file href="items/{name}.xml"/></resource>'
        for name in names
    )
    needs = "".join(f'<dependency identifierref="{name}"/>' for name in names)
    return f"""{_HEAD}<manifest xmlns="{_CP}" identifier="openbook-quiz">
 <metadata><schema>QTI Package</schema><schemaversion>3.0.0</schemaversion></metadata>
 <organizations/>
 <resources>
  <resource identifier="test" type="imsqti_test_xmlv3p0" href="test.xml">\
<file href="test.xml"/>{needs}</resource>
{items}
 </resources>
</manifest>
"""


def _test(names: Sequence[str], title: str) -> str:
    items = "\n".join(
        f'   <qti-assessment-item-ref identifier="{name}" href="items/{name}.xml"/>'
        for name in names
    )
    title = quoteattr(title)
    return f"""{_HEAD}<qti-assessment-test xmlns="{_ASI}" identifier="test" title={title}>
 <qti-outcome-declaration identifier="SCORE" cardinality="single" base-type="float"/>
 <qti-test-part identifier="part" navigation-mode="nonlinear" submission-mode="individual">
  <qti-assessment-section identifier="section" title={title} visible="true">
{items}
  </qti-assessment-section>
 </qti-test-part>
 <qti-outcome-processing>
  <qti-set-outcome-value identifier="SCORE">
   <qti-sum><qti-test-variables variable-identifier="SCORE"/></qti-sum>
  </qti-set-outcome-value>
 </qti-outcome-processing>
</qti-assessment-test>
"""


def _item(name: str, question: ParsedQuestion) -> str:
    letters = _LETTERS[: len(question.choices)]
    lettered = list(zip(letters, question.choices, strict=True))
    right = next(letter for letter, choice in lettered if choice.correct)
    choices = "\n".join(
        f'   <qti-simple-choice identifier="{letter}">{escape(choice.text)}</qti-simple-choice>'
        for letter, choice in lettered
    )
    feedback = "\n".join(
        f' <qti-modal-feedback outcome-identifier="FEEDBACK" identifier="{letter}" '
        f'show-hide="show">\n  <qti-content-body><p>{escape(choice.because)}</p>'
        "</qti-content-body>\n </qti-modal-feedback>"
        for letter, choice in lettered
    )
    return f"""{_HEAD}<qti-assessment-item xmlns="{_ASI}" identifier="{name}" \
title={quoteattr(question.key)} adaptive="false" time-dependent="false" xml:lang="en">
 <qti-response-declaration identifier="RESPONSE" cardinality="single" base-type="identifier">
  <qti-correct-response><qti-value>{right}</qti-value></qti-correct-response>
 </qti-response-declaration>
 <qti-outcome-declaration identifier="SCORE" cardinality="single" base-type="float" \
normal-maximum="1" normal-minimum="0">
  <qti-default-value><qti-value>0</qti-value></qti-default-value>
 </qti-outcome-declaration>
 <qti-outcome-declaration identifier="FEEDBACK" cardinality="single" base-type="identifier"/>
 <qti-item-body>
  <qti-choice-interaction response-identifier="RESPONSE" shuffle="false" max-choices="1">
   <qti-prompt>{escape(question.ask)}</qti-prompt>
{choices}
  </qti-choice-interaction>
 </qti-item-body>
 <qti-response-processing>
  <qti-response-condition>
   <qti-response-if>
    <qti-match><qti-variable identifier="RESPONSE"/><qti-correct identifier="RESPONSE"/></qti-match>
    <qti-set-outcome-value identifier="SCORE">
     <qti-base-value base-type="float">1</qti-base-value>
    </qti-set-outcome-value>
   </qti-response-if>
  </qti-response-condition>
  <qti-set-outcome-value identifier="FEEDBACK"><qti-variable identifier="RESPONSE"/>\
</qti-set-outcome-value>
 </qti-response-processing>
{feedback}
</qti-assessment-item>
"""
